"""Laplace distributions."""

import dataclasses
import math

import jax
import jax.numpy as jnp

from vae_jax.distributions.base import Distribution
from vae_jax.types import Array, Scalar, pytree_dataclass, static


@pytree_dataclass
class Laplace(Distribution):
    """p(x) = exp(-|x - mean| / b) / (2 b) with b = exp(log_scale).

    `log_scale` broadcasts against `mean`; the standard deviation is sqrt(2) b.
    """

    mean: Array  # [*batch, *event]
    log_scale: Array  # broadcasts to [*batch, *event]
    event_ndims: int = static(1)

    def sample(self, key: Array, shape: tuple[int, ...] = ()) -> Array:
        noise = jax.random.laplace(key, (*shape, *self.mean.shape), self.mean.dtype)
        return self.mean + jnp.exp(self.log_scale) * noise

    def _narrow(self, temperature: Scalar) -> "Laplace":
        return dataclasses.replace(self, log_scale=self.log_scale + jnp.log(temperature))

    def log_prob_terms(self, value: Array) -> Array:
        residual = value - self.mean
        distance = residual * jnp.sign(
            residual
        )  # |residual|; its gradient at 0 is 0, not 1 as for abs
        return -math.log(2) - self.log_scale - distance * jnp.exp(-self.log_scale)
