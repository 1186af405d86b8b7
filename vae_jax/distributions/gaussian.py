"""Gaussians."""

import dataclasses
import math

import jax
import jax.numpy as jnp

from vae_jax.distributions.base import Array, Distribution, Scalar, distribution, static

LOG_2PI = math.log(2 * math.pi)


@distribution
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

    def with_temperature(self, temperature: Scalar) -> "DiagGaussian":
        return dataclasses.replace(self, logvar=self.logvar + 2 * jnp.log(temperature))

    def log_prob_terms(self, value: Array) -> Array:
        return -0.5 * (
            LOG_2PI + self.logvar + jnp.square(value - self.mean) * jnp.exp(-self.logvar)
        )


@distribution
class OptimalGaussian(Distribution):
    """N(mean, sigma^2) with the one sigma that makes the values it scores most likely.

    sigma^2 is the mean squared residual over *all* axes of the value scored (samples, batch and event), as in
    sigma-VAE (Rybkin et al., 2021, arXiv:2006.13202); the gradient through it vanishes at the optimum and is not taken.
    One number fitted to n residuals makes the sum of log-likelihoods too high by half a nat in all, so per example by
    1 / (2 B), and an example's own number depends on the others of its batch: evaluation settles on one sigma first
    (`vae_jax.evaluation.sigma`). There is no scale before there are data, so it cannot be sampled: use `mean`, or learn sigma.
    """

    mean: Array  # [*batch, *event]
    event_ndims: int = static(1)

    def log_prob_terms(self, value: Array) -> Array:
        squared = jnp.square(value - self.mean)
        variance = jax.lax.stop_gradient(jnp.mean(squared))
        variance = jnp.maximum(variance, jnp.finfo(squared.dtype).tiny)
        return -0.5 * (LOG_2PI + jnp.log(variance) + squared / variance)

    def sample(self, key: Array, shape: tuple[int, ...] = ()) -> Array:
        raise TypeError(
            "an optimal-sigma Gaussian has no scale before it has seen data: use its mean, or learn sigma"
        )
