"""Distributions of discrete codes and of their embedding vectors.

A grid of codes is an integer array ``[*grid]`` with values 0 .. M - 1. A codebook [M, d] maps each
code to a vector. The vectors of a grid of P codes, concatenated, are the flat latent z with D = P
d.
"""

import dataclasses
import math

import jax
import jax.numpy as jnp

from vae_jax.distributions.base import Distribution, allow_broadcasting
from vae_jax.distributions.kl import closed_form_kl
from vae_jax.types import Array, Scalar, pytree_dataclass, static


@pytree_dataclass
class UniformCodes(Distribution):
    """Independent codes, uniform on 0 .. M - 1: log p = -P log M for each of the M^P grids."""

    grid: tuple[int, ...] = static()
    num_codes: int = static()
    event_ndims: int = static(2)

    @property
    def event_shape(self) -> tuple[int, ...]:
        return tuple(self.grid)

    @property
    def batch_shape(self) -> tuple[int, ...]:
        return ()

    def sample(self, key: Array, shape: tuple[int, ...] = ()) -> Array:
        return jax.random.randint(key, (*shape, *self.grid), 0, self.num_codes, jnp.int32)

    def log_prob_terms(self, value: Array) -> Array:
        inside = (value >= 0) & (value < self.num_codes)
        return jnp.where(inside, jnp.float32(-math.log(self.num_codes)), -jnp.inf)

    def _narrow(self, temperature: Scalar) -> "UniformCodes":
        return self  # p^(1 / t) is uniform too


@pytree_dataclass
class Quantized(Distribution):
    """A point mass on one grid of codes, and so on one z: q(codes | x) = 1, log q = 0.

    Three copies of the same D numbers differ in where their gradient goes. `z_q` has the value of
    the code vectors and the gradient of z_e (straight-through); `embedding` has the gradient of the
    codebook. `learning` names the update rule of the codebook: "gradient", "average", or "none" if
    it is fixed.
    """

    z_q: Array  # [*batch, D]
    z_e: Array  # [*batch, D], the output of the encoder
    embedding: Array  # [*batch, D]
    codes: Array  # [*batch, *grid] int32
    num_codes: int = static()
    learning: str = static("none")
    event_ndims: int = static(1)

    @property
    def mean(self) -> Array:
        return self.z_q

    def sample(self, key: Array, shape: tuple[int, ...] = ()) -> Array:
        return jnp.broadcast_to(self.z_q, (*shape, *self.z_q.shape))

    def log_prob(self, value: Array) -> Array:
        return jnp.where((value == self.z_q).all(-1), 0.0, -jnp.inf)

    def sample_and_log_prob(self, key: Array, shape: tuple[int, ...] = ()) -> tuple[Array, Array]:
        return self.sample(key, shape), jnp.zeros((*shape, *self.batch_shape), self.z_q.dtype)


@pytree_dataclass
class EmbeddedCodes(Distribution):
    """The distribution of z [D] for codes distributed as `codes`.

    Its log-probabilities are masses on the M^P values that z can take.
    """

    codes: Distribution  # p(codes) over integers [*batch, *grid]
    codebook: Array  # [M, d]
    event_ndims: int = static(1)

    @property
    def event_shape(self) -> tuple[int, ...]:
        return (math.prod(self.codes.event_shape) * self.codebook.shape[-1],)

    @property
    def batch_shape(self) -> tuple[int, ...]:
        return self.codes.batch_shape

    def sample(self, key: Array, shape: tuple[int, ...] = ()) -> Array:
        return self._vectors(self.codes.sample(key, shape))

    def log_prob(self, value: Array) -> Array:
        """Log p [...] of the codes of z [..., D]; -inf if z is not made of rows of the codebook."""
        grid = self.codes.event_shape
        vectors = value.reshape(*value.shape[:-1], *grid, self.codebook.shape[-1])
        codes = nearest_codes(vectors, self.codebook)
        log_p = self.codes.log_prob(codes)
        return jnp.where((self._vectors(codes) == value).all(-1), log_p, -jnp.inf)

    def sample_and_log_prob(self, key: Array, shape: tuple[int, ...] = ()) -> tuple[Array, Array]:
        codes, log_p = self.codes.sample_and_log_prob(key, shape)
        return self._vectors(codes), log_p

    def _narrow(self, temperature: Scalar) -> "EmbeddedCodes":
        return dataclasses.replace(self, codes=self.codes.with_temperature(temperature))

    def _vectors(self, codes: Array) -> Array:
        lead = codes.shape[: codes.ndim - len(self.codes.event_shape)]
        return self.codebook[codes].reshape(*lead, -1)


@allow_broadcasting
def nearest_codes(vectors: Array, codebook: Array) -> Array:
    """Index of the nearest row of codebook [M, d] for vectors [..., d]: int32 [...].

    argmin_j |v - e_j|^2 = argmin_j |e_j|^2 - 2 v . e_j; the first wins ties. The product is in
    full float32, since narrower types confuse neighbors.
    """
    products = jnp.matmul(vectors, codebook.T, precision=jax.lax.Precision.HIGHEST)
    return _first_smallest(jnp.square(codebook).sum(-1) - 2 * products)


def _first_smallest(values: Array) -> Array:
    """`jnp.argmin` over the last axis, int32 [...]; as two minima, an eighth of its time on a CPU.

    The last index if any value is NaN.
    """
    last = values.shape[-1] - 1
    is_smallest = values <= values.min(-1, keepdims=True)
    return jnp.where(is_smallest, jnp.arange(last + 1, dtype=jnp.int32), last).min(-1)


@closed_form_kl(Quantized, EmbeddedCodes, total=True)
def _kl_of_codes(q: Quantized, p: EmbeddedCodes) -> Array:
    # The entropy of a point mass is 0. Uses the codes: equal vectors may have different codes.
    return -p.codes.log_prob(q.codes)
