"""The pass of a hierarchy from the top down."""

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import jax.numpy as jnp

from vae_jax.distributions import DiagGaussian
from vae_jax.types import Array

Choose: TypeAlias = Callable[[int, DiagGaussian | None, DiagGaussian | None], Array]
"""(number of the layer, p(z_l | z_<l), q(z_l | z_<l, x) or None without x) -> z_l [M, D_l].

M is a multiple of the rows of the distributions. p is None for the top layer of a model with a
`prior`.
"""


class Descent(NamedTuple):
    """A top-down pass with N rows; lists have one entry per layer, the top first."""

    h: Array  # [M, ...] the features of p(x | z), activated
    z: list[Array]  # [M, D_l]
    priors: list[DiagGaussian | None]  # over [N, D_l] for the first layer, and [M, D_l]
    posteriors: list[DiagGaussian | None]


def tile_rows(a: Array, rows: int) -> Array:
    """Repeat rows [N, ...] to [rows, ...]."""
    copies = rows // a.shape[0]
    return a if copies == 1 else jnp.broadcast_to(a, (copies, *a.shape)).reshape(rows, *a.shape[1:])
