"""What a prior is given."""

from collections.abc import Callable
from typing import TypeAlias

from vae_jax.distributions import Distribution
from vae_jax.types import Array

Encode: TypeAlias = Callable[[Array, Array | None], Distribution]
"""The model's own (inputs [M, *E], condition [M, C] or None) -> q(z | x) over [M, D]."""
