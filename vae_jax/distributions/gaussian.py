"""Gaussians with a diagonal covariance."""

import dataclasses
import math

import jax
import jax.numpy as jnp

from vae_jax.distributions.base import Distribution, sum_event
from vae_jax.types import Array, Scalar, pytree_dataclass, static

LOG_2PI = math.log(2 * math.pi)


@pytree_dataclass
class DiagGaussian(Distribution):
    """N(mean, diag(exp(logvar))); `logvar` broadcasts against `mean`."""

    mean: Array  # [*batch, *event]
    logvar: Array  # broadcasts to [*batch, *event]
    event_ndims: int = static(1)

    @property
    def stddev(self) -> Array:
        return jnp.exp(self.logvar / 2)

    def sample(self, key: Array, shape: tuple[int, ...] = ()) -> Array:
        eps = jax.random.normal(key, (*shape, *self.mean.shape), self.mean.dtype)
        return self.mean + self.stddev * eps

    def _narrow(self, temperature: Scalar) -> "DiagGaussian":
        return dataclasses.replace(self, logvar=self.logvar + 2 * jnp.log(temperature))

    def log_prob_terms(self, value: Array) -> Array:
        return -0.5 * (
            LOG_2PI + self.logvar + jnp.square(value - self.mean) * jnp.exp(-self.logvar)
        )


@pytree_dataclass
class OptimalGaussian(Distribution):
    """N(mean, sigma^2 I) with the single sigma that maximizes the likelihood of the scored values.

    sigma^2 is the mean squared residual over *all* axes of the value: samples, batch and event, as
    in sigma-VAE (Rybkin et al., 2021, arXiv:2006.13202). The gradient through sigma vanishes at the
    optimum and is stopped.

    Fitting one number makes the total log-likelihood too high by half a nat, 1 / (2 B) per example,
    and couples the examples of a batch. Evaluation therefore fits one sigma first
    (`vae_jax.evaluation.sigma`). Without data there is no scale, so it cannot be sampled: use
    `mean`, or learn sigma.
    """

    mean: Array  # [*batch, *event]
    event_ndims: int = static(1)

    def log_prob_terms(self, value: Array) -> Array:
        squared = jnp.square(value - self.mean)
        return _optimal_terms(squared, jnp.mean(squared))

    def observed_log_prob(self, value: Array, observed: Array | None) -> Array:
        """As of any distribution, ``[...]``; sigma^2 is the mean over the observed entries."""
        if observed is None:
            return self.log_prob(value)
        self._assert_event(value)
        squared = jnp.square(jnp.where(observed, value - self.mean, 0))
        count = jnp.broadcast_to(observed, squared.shape).sum()
        terms = _optimal_terms(squared, squared.sum() / jnp.maximum(count, 1))
        return sum_event(jnp.where(observed, terms, 0), self.event_ndims)

    def sample(self, key: Array, shape: tuple[int, ...] = ()) -> Array:
        raise TypeError(
            "an optimal-sigma Gaussian has no scale before it has seen data; "
            "use its mean, or learn sigma"
        )


def _optimal_terms(squared: Array, variance: Array) -> Array:
    """Gaussian terms of squared residuals with the variance as a constant."""
    variance = jax.lax.stop_gradient(variance)
    variance = jnp.maximum(variance, jnp.finfo(squared.dtype).tiny)
    return -0.5 * (LOG_2PI + jnp.log(variance) + squared / variance)
