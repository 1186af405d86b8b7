"""Planar flows."""

import math

import jax
import jax.numpy as jnp

from vae_jax.flows.base import Flow, flow
from vae_jax.flows.root import slope, tanh_root
from vae_jax.types import Array

MARGIN = 0.01  # the least determinant of one step
TINY = 1e-12  # |w|^2 below which w has no direction


@flow
class Planar(Flow):
    """f(z) = z + u' tanh(w.z + b), where u' is u moved along w until w.u' > -1, which makes f invertible.

    Rezende and Mohamed, 2015, arXiv:1505.05770, appendix A.1, with two changes to their w.u' = softplus(w.u) - 1: it is
    shifted so that u = 0 is the identity, and at least -0.99, so that no determinant is below 0.01. The inverse solves one
    scalar equation, s + (w.u') tanh(s) = w.y + b for s = w.z + b. `u`, `w` and `b` take any values.
    """

    u: Array  # [..., D]
    w: Array  # [..., D]
    b: Array  # [...]

    def _constrained(self) -> tuple[Array, Array]:
        """U' [..., D] and w.u' [...]."""
        product = jnp.sum(self.w * self.u, -1)
        squared = jnp.sum(jnp.square(self.w), -1)
        has_direction = squared > TINY
        bounded = jnp.where(has_direction, _bounded(product), product)
        step = (bounded - product) / jnp.where(has_direction, squared, 1.0)
        return self.u + step[..., None] * self.w, bounded

    def forward(self, z: Array) -> tuple[Array, Array]:
        u, product = self._constrained()
        t = jnp.tanh(jnp.sum(self.w * z, -1) + self.b)
        return z + u * t[..., None], jnp.log(slope(product, t))

    def inverse(self, y: Array) -> tuple[Array, Array]:
        u, product = self._constrained()
        t = jnp.tanh(tanh_root(product, jnp.sum(self.w * y, -1) + self.b))
        return y - u * t[..., None], -jnp.log(slope(product, t))


def _bounded(product: Array) -> Array:
    """An increasing map of the reals to (MARGIN - 1, inf) with 0 at 0, close to the identity for large values."""
    return jax.nn.softplus(product + math.log(math.expm1(1 - MARGIN))) - (1 - MARGIN)
