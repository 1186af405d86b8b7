"""The Laplace distribution."""

import dataclasses
import math

import jax
import jax.numpy as jnp

from vae_jax.distributions.base import Array, Distribution, Scalar, distribution, static


@distribution
class Laplace(Distribution):
    """p(x) = exp(-|x - mean| / b) / (2 b) with b = exp(log_scale), which broadcasts against `mean`; its stddev is sqrt(2) b."""

    mean: Array  # [*batch, *event]
    log_scale: Array  # broadcasts to [*batch, *event]
    event_ndims: int = static(1)

    def sample(self, key: Array, shape: tuple[int, ...] = ()) -> Array:
        noise = jax.random.laplace(key, (*shape, *self.mean.shape), self.mean.dtype)
        return self.mean + jnp.exp(self.log_scale) * noise

    def with_temperature(self, temperature: Scalar) -> "Laplace":
        return dataclasses.replace(self, log_scale=self.log_scale + jnp.log(temperature))

    def log_prob_terms(self, value: Array) -> Array:
        residual = value - self.mean
        distance = residual * jnp.sign(residual)  # at 0 its gradient is 0, that of abs is 1
        return -math.log(2) - self.log_scale - distance * jnp.exp(-self.log_scale)
