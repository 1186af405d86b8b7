"""Sylvester flows."""

import functools
import math

import jax
import jax.numpy as jnp

from vae_jax.distributions.base import allow_broadcasting
from vae_jax.flows.base import Flow
from vae_jax.flows.planar import MARGIN, TINY
from vae_jax.flows.root import slope, tanh_root
from vae_jax.types import Array, pytree_dataclass

# Full float32: the inverse has to undo these products.
einsum = functools.partial(jnp.einsum, precision=jax.lax.Precision.HIGHEST)


@pytree_dataclass
class Sylvester(Flow):
    """f(z) = z + Q R1 tanh(R2 Q^T z + b), Q with M <= D orthonormal columns, R1, R2 triangular.

    van den Berg et al., 2018, arXiv:1803.05649. R1 and R2 are upper triangular. The determinant is
    prod_m (1 + r1_mm r2_mm sech(s_m)^2) with s = R2 Q^T z + b. f is invertible if every r1_mm r2_mm
    > -1, which `orthonormal` and `bounded_triangular` ensure. The inverse solves the triangular
    system s + R2 R1 tanh(s) = R2 Q^T y + b from the last row up, one scalar equation per row.
    """

    q: Array  # [..., D, M]
    r1: Array  # [..., M, M]
    r2: Array  # [..., M, M]
    b: Array  # [..., M]

    def _diagonal(self) -> Array:
        return _diag(self.r1) * _diag(self.r2)

    def _inner(self, z: Array) -> Array:
        """R2 Q^T z + b, [..., M]."""
        return einsum("...mn,...n->...m", self.r2, einsum("...dm,...d->...m", self.q, z)) + self.b

    def _step(self, t: Array) -> Array:
        """Q R1 t, [..., D]."""
        return einsum("...dm,...m->...d", self.q, einsum("...mn,...n->...m", self.r1, t))

    def forward(self, z: Array) -> tuple[Array, Array]:
        t = jnp.tanh(self._inner(z))
        return z + self._step(t), jnp.log(slope(self._diagonal(), t)).sum(-1)

    def inverse(self, y: Array) -> tuple[Array, Array]:
        t = self._solve(self._inner(y))
        return y - self._step(t), -jnp.log(slope(self._diagonal(), t)).sum(-1)

    def _solve(self, right: Array) -> Array:
        """tanh(s) [..., M] for the s with s + R2 R1 tanh(s) = right."""
        rows = jnp.moveaxis(einsum("...mk,...kn->...mn", self.r2, self.r1), -2, 0)
        number = jnp.arange(right.shape[-1])

        def row(t: Array, xs: tuple[Array, Array, Array, Array]) -> tuple[Array, None]:
            m, row, diagonal, right = xs
            later = jnp.sum(row * t, -1)  # t is still 0 at m and before
            s = tanh_root(diagonal, right - later)
            return jnp.where(number == m, jnp.tanh(s)[..., None], t), None

        xs = (number, rows, jnp.moveaxis(self._diagonal(), -1, 0), jnp.moveaxis(right, -1, 0))
        return jax.lax.scan(row, jnp.zeros_like(right), xs, reverse=True)[0]


def _diag(matrix: Array) -> Array:
    return jnp.diagonal(matrix, axis1=-2, axis2=-1)


def orthonormal(vectors: Array) -> Array:
    """Orthonormal columns [..., D, M], M <= D, from M unconstrained vectors.

    They are the first M columns of a product of M Householder reflections, one per vector. Every
    set of orthonormal columns, up to signs, has this form (Householder QR). A zero vector reflects
    nothing.
    """
    dim, num = vectors.shape[-2:]

    def reflect(columns: Array, vector: Array) -> tuple[Array, None]:
        squared = jnp.sum(jnp.square(vector), -1)
        factor = jnp.where(squared > TINY, 2 / jnp.where(squared > TINY, squared, 1.0), 0.0)
        along = jnp.sum(vector[..., None] * columns, -2) * factor[..., None]
        return columns - vector[..., None] * along[..., None, :], None

    start = jnp.broadcast_to(jnp.eye(dim, num, dtype=vectors.dtype), vectors.shape)
    return jax.lax.scan(reflect, start, jnp.moveaxis(vectors, -1, 0), reverse=True)[0]


@allow_broadcasting
def bounded_triangular(raw: Array) -> Array:
    """The upper triangle of raw [..., M, M], with its diagonal in (-0.995, 0.995).

    Products of two such diagonals are above -0.99.
    """
    diagonal = math.sqrt(1 - MARGIN) * jnp.tanh(_diag(raw))
    return jnp.triu(raw, 1) + diagonal[..., None] * jnp.eye(raw.shape[-1], dtype=raw.dtype)
