"""Kinds of values, by which likelihoods and networks are chosen."""

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

from vae_jax.data.values import MAX_LEVELS

Kind: TypeAlias = Literal["tokens", "counts", "binary", "levels", "real"]
"""The values of a data set:

tokens  numbers of tokens: lines of text
counts  integers from 0
binary  zeros and ones
levels  equally spaced values in [0, 1]: images, or rows of 256 levels, which are images of 8 bits
real    any other values
"""


def kind_of(shape: tuple[int, ...], preparation: Mapping[str, Any]) -> Kind:
    """The kind of the values of a data set, from `Dataset.shape` and `Dataset.preparation`."""
    if preparation["values"] == "tokens":
        return "tokens"
    if preparation["values"] == "counts":
        return "counts"
    if preparation["binary"]:
        return "binary"
    levels = preparation["levels"]
    return "levels" if levels == MAX_LEVELS or (levels and len(shape) == 3) else "real"
