"""Gamma distributions, and the likelihood that predicts their means."""

import math
from collections.abc import Sequence
from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.scipy.special import gammaln

from vae_jax.distributions import Distribution, soft_clip
from vae_jax.likelihoods import EventLayer, Likelihood
from vae_jax.types import pytree_dataclass, static

LOG_MEAN_RANGE = (-20.0, 20.0)  # in units of the geometric mean of the column
LOG_SHAPE_RANGE = (-2.0, 7.0)  # standard deviations from 2.7 to 0.03 of the mean


@pytree_dataclass
class Gamma(Distribution):
    """Numbers above 0 with a mean m, a shape a, and the standard deviation m / sqrt(a).

        log p(x) = a (log r - r + 1) - log x + (a log a - a - log Gamma(a)),    r = x / m

    Mean and shape are kept as logarithms, so that no value of a network is invalid.
    """

    log_mean: jax.Array  # [*batch, *event]
    log_shape: jax.Array  # broadcasts to [*batch, *event]
    event_ndims: int = static(1)

    @property
    def mean(self) -> jax.Array:
        return jnp.exp(self.log_mean)

    def sample(self, key: jax.Array, shape: tuple[int, ...] = ()) -> jax.Array:
        log_a = jnp.broadcast_to(self.log_shape, (*shape, *self.log_mean.shape))
        log_g = jax.random.loggamma(key, jnp.exp(log_a))  # of mean a
        return jnp.exp(log_g - log_a + self.log_mean)

    def log_prob_terms(self, value: jax.Array) -> jax.Array:
        inside = (value > 0) & jnp.isfinite(value)
        log_x = jnp.log(jnp.where(inside, value, 1))  # no gradient is NaN
        log_r, a = log_x - self.log_mean, jnp.exp(self.log_shape)
        constant = a * self.log_shape - a - gammaln(a)
        return jnp.where(inside, a * (log_r - jnp.exp(log_r) + 1) - log_x + constant, -jnp.inf)


class GammaLikelihood(Likelihood):
    """x > 0 is gamma distributed, with a predicted mean and a learned shape of each column.

    As `positive` is True, zeros are rejected, and `likelihoods.fit_units` chooses log x as the
    input of networks and the geometric mean as the unit of each column.
    """

    support: ClassVar[tuple[float, float]] = (0.0, math.inf)
    positive: ClassVar[bool] = True

    @nn.compact
    def __call__(self, h: jax.Array, lead: Sequence[int] | None = None) -> Gamma:
        log_mean = EventLayer(self.event_shape)(h, lead)[..., 0]
        log_shape = self.param("log_shape", nn.initializers.zeros, self.event_shape)
        return Gamma(
            soft_clip(log_mean, *LOG_MEAN_RANGE),
            soft_clip(log_shape, *LOG_SHAPE_RANGE),
            len(self.event_shape),
        )
