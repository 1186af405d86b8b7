"""Molecules compared: the canonical SMILES, and the Tanimoto similarity of two."""

import functools
import math

from vae_jax.evaluation import molecules


@functools.lru_cache(maxsize=65536)
def canonical(smiles: str | None) -> str | None:
    """The canonical SMILES, equal for equal molecules; None if not valid."""
    return molecules.canonical([smiles])[0]


def similarity(first: str | None, second: str | None) -> float:
    """The Tanimoto similarity of the Morgan fingerprints; NaN if one is not valid."""
    return float(molecules.nearest_neighbors([first], [second]).similarity[0])


def format_similarity(first: str | None, second: str | None) -> str:
    """The similarity with two digits, '–' if there is none."""
    value = similarity(first, second)
    return "–" if math.isnan(value) else f"{value:.2f}"


def count_nouns(number: int, noun: str) -> str:
    """'1 code', '2 codes'."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")
