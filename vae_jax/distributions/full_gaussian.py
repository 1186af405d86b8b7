"""Gaussians with a full covariance matrix."""

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp

from vae_jax.distributions.base import Distribution
from vae_jax.distributions.gaussian import LOG_2PI
from vae_jax.types import Array, Scalar, pytree_dataclass


@pytree_dataclass
class FullGaussian(Distribution):
    """N(mean, L L^T) over vectors, L lower triangular with a positive diagonal."""

    mean: Array  # [*batch, D]
    scale_tril: Array  # [*batch, D, D]
    event_ndims = 1
    factorized: ClassVar[bool] = False

    def _log_density(self, eps: Array) -> Array:
        """Log p at mean + L eps."""
        log_diagonal = jnp.log(jnp.diagonal(self.scale_tril, axis1=-2, axis2=-1))
        return -0.5 * (jnp.square(eps).sum(-1) + eps.shape[-1] * LOG_2PI) - log_diagonal.sum(-1)

    def _draw(self, key: Array, shape: tuple[int, ...]) -> tuple[Array, Array]:
        eps = jax.random.normal(key, (*shape, *self.mean.shape), self.mean.dtype)
        spread = jnp.einsum(
            "...ij,...j->...i", self.scale_tril, eps, precision=jax.lax.Precision.HIGHEST
        )
        return self.mean + spread, eps

    def sample(self, key: Array, shape: tuple[int, ...] = ()) -> Array:
        return self._draw(key, shape)[0]

    def sample_and_log_prob(self, key: Array, shape: tuple[int, ...] = ()) -> tuple[Array, Array]:
        value, eps = self._draw(key, shape)
        return value, self._log_density(eps)

    def log_prob(self, value: Array) -> Array:
        difference = value - self.mean
        # All values that share L are the columns of one triangular system.
        batch_ndims = self.mean.ndim - 1
        num_lead = difference.ndim - 1 - batch_ndims
        lead, batch = difference.shape[:num_lead], difference.shape[num_lead:]
        columns = jnp.moveaxis(difference.reshape(-1, *batch), 0, -1)
        scale_tril = jnp.broadcast_to(self.scale_tril, (*batch, batch[-1]))
        eps = jax.scipy.linalg.solve_triangular(scale_tril, columns, lower=True)
        return self._log_density(jnp.moveaxis(eps, -1, 0).reshape(*lead, *batch))

    def _narrow(self, temperature: Scalar) -> "FullGaussian":
        return dataclasses.replace(self, scale_tril=self.scale_tril * temperature)
