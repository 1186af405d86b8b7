"""Log-normal distributions of positive numbers."""

import dataclasses

import jax
import jax.numpy as jnp

from vae_jax.distributions.base import Distribution
from vae_jax.distributions.stirling import HALF_LOG_2PI
from vae_jax.types import Array, Scalar, pytree_dataclass, static


@pytree_dataclass
class LogNormal(Distribution):
    """Positive numbers whose logarithm is N(loc, exp(log_scale)^2); zero has no density."""

    loc: Array  # [*batch, *event], mean of log x
    log_scale: Array  # broadcasts to [*batch, *event], log of the standard deviation of log x
    event_ndims: int = static(1)

    @property
    def mean(self) -> Array:
        """exp(loc + scale^2 / 2), [*batch, *event]."""
        return jnp.exp(self.loc + 0.5 * jnp.exp(2 * self.log_scale))

    def sample(self, key: Array, shape: tuple[int, ...] = ()) -> Array:
        noise = jax.random.normal(key, (*shape, *self.loc.shape), self.loc.dtype)
        return jnp.exp(self.loc + jnp.exp(self.log_scale) * noise)

    def _narrow(self, temperature: Scalar) -> "LogNormal":
        """Scale the standard deviation of log x by the temperature."""
        return dataclasses.replace(self, log_scale=self.log_scale + jnp.log(temperature))

    def log_prob_terms(self, value: Array) -> Array:
        positive = value > 0
        log_x = jnp.log(jnp.where(positive, value, 1))
        residual = (log_x - self.loc) * jnp.exp(-self.log_scale)
        terms = -HALF_LOG_2PI - self.log_scale - log_x - 0.5 * jnp.square(residual)
        return jnp.where(positive, terms, -jnp.inf)
