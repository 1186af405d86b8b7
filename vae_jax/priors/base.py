"""Contracts of priors: what models call on them."""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias

from vae_jax.distributions import Distribution
from vae_jax.types import Array

Encode: TypeAlias = Callable[[Array, Array | None], Distribution]
"""The model's own (inputs [M, *E], condition [M, C] or None) -> q(z | x) over [M, D]."""


class Prior(Protocol):
    """A map to p(z) over [D], or, given c [B, C], to p(z | c) over [B, D].

    Models call ``prior()``, or ``prior(c)`` if it is conditioned. A prior with an attribute
    `needs_encode` that is True, as the VampPrior has, is also given ``encode=``, see `Encode`.
    """

    def __call__(self, c: Array | None = None) -> Distribution: ...


class CodePrior(Prior, Protocol):
    """A prior over integers [*grid] out of 0 .. M - 1, M = `num_codes`, or [B, *grid] given c."""

    grid: Sequence[int]
    num_codes: int
