"""Contracts of posterior heads: what models call on them."""

from collections.abc import Sequence
from typing import Protocol

from vae_jax.distributions import Distribution, Quantized
from vae_jax.types import Array


class PosteriorHead(Protocol):
    """A map from features h [B, ...] to q(z | x) over [B, D]."""

    def __call__(self, h: Array) -> Distribution: ...


class Quantizer(Protocol):
    """A map from features h [B, *grid, F] or [B, F] to q(codes | x) over [B, D], D = prod(grid) d.

    The model reads the number of codes M = `num_codes`, their size d = `code_dim` and the vectors
    `codebook()` [M, d].
    """

    num_codes: int
    code_dim: int

    def codebook(self) -> Array: ...

    def __call__(self, h: Array, grid: Sequence[int]) -> Quantized: ...
