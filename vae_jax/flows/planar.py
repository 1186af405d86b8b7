"""Planar flows."""

import math

import jax
import jax.numpy as jnp

from vae_jax.flows.base import Flow
from vae_jax.flows.root import slope, tanh_root
from vae_jax.types import Array, pytree_dataclass

MARGIN = 0.01  # minimum determinant of one step
TINY = 1e-12  # |w|^2 below which w has no direction


@pytree_dataclass
class Planar(Flow):
    """f(z) = z + u' tanh(w.z + b), with u' = u moved along w until w.u' > -1, so f is invertible.

    Rezende and Mohamed, 2015, arXiv:1505.05770, appendix A.1. Two changes to their w.u' =
    softplus(w.u) - 1: it is shifted so that u = 0 is the identity, and it is at least -0.99, so the
    determinant is at least 0.01. The inverse solves one scalar equation, s + (w.u') tanh(s) = w.y +
    b for s = w.z + b. `u`, `w` and `b` are unconstrained.
    """

    u: Array  # [..., D]
    w: Array  # [..., D]
    b: Array  # [...]

    def _constrain(self) -> tuple[Array, Array]:
        """The constrained u' [..., D] and w.u' [...]."""
        product = jnp.sum(self.w * self.u, -1)
        squared = jnp.sum(jnp.square(self.w), -1)
        has_direction = squared > TINY
        bounded = jnp.where(has_direction, _lower_bound(product), product)
        step = (bounded - product) / jnp.where(has_direction, squared, 1.0)
        return self.u + step[..., None] * self.w, bounded

    def forward(self, z: Array) -> tuple[Array, Array]:
        u, product = self._constrain()
        t = jnp.tanh(jnp.sum(self.w * z, -1) + self.b)
        return z + u * t[..., None], jnp.log(slope(product, t))

    def inverse(self, y: Array) -> tuple[Array, Array]:
        u, product = self._constrain()
        t = jnp.tanh(tanh_root(product, jnp.sum(self.w * y, -1) + self.b))
        return y - u * t[..., None], -jnp.log(slope(product, t))


def _lower_bound(product: Array) -> Array:
    """An increasing map of the reals onto (MARGIN - 1, inf), 0 at 0, near the identity above."""
    return jax.nn.softplus(product + math.log(math.expm1(1 - MARGIN))) - (1 - MARGIN)
