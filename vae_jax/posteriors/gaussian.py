"""Gaussian and deterministic posteriors."""

from collections.abc import Callable

import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from vae_jax.distributions import (
    Deterministic,
    DiagGaussian,
    Distribution,
    FullGaussian,
    bounded_logvar,
)
from vae_jax.flows.conditioner import SMALL
from vae_jax.nets.dense import Dense
from vae_jax.types import Array


class DiagGaussianHead(nn.Module):
    """q(z | x) = N(mean, diag(exp(logvar))), both affine in the features.

    `logvar_fn` bounds the log-variance.
    """

    latent_dim: int
    logvar_fn: Callable[[Array], Array] = bounded_logvar

    @nn.compact
    def __call__(self, h: Array) -> Distribution:
        h = h.reshape(h.shape[0], -1)
        mean = Dense(self.latent_dim, dtype=h.dtype, wide=True, name="mean")(h)
        logvar = Dense(self.latent_dim, dtype=h.dtype, wide=True, name="logvar")(h)
        return DiagGaussian(mean, self.logvar_fn(logvar))


class FullGaussianHead(nn.Module):
    """q(z | x) = N(mean, L L^T) with L = diag(sigma) (I + N), N strictly lower triangular.

    Kingma and Welling, 2019, arXiv:1906.02691, section 2.5.1. All parameters are affine in the
    features; `logvar_fn` bounds log sigma^2, and N starts near zero.
    """

    latent_dim: int
    logvar_fn: Callable[[Array], Array] = bounded_logvar

    @nn.compact
    def __call__(self, h: Array) -> Distribution:
        h = h.reshape(h.shape[0], -1)
        dim = self.latent_dim
        diagonal = DiagGaussianHead(dim, self.logvar_fn, name="diagonal")(h)
        unit = jnp.broadcast_to(jnp.eye(dim, dtype=jnp.float32), (h.shape[0], dim, dim))
        if dim > 1:
            size = dim * (dim - 1) // 2
            below = Dense(size, dtype=h.dtype, wide=True, kernel_init=SMALL, name="below")(h)
            rows, columns = np.tril_indices(dim, -1)
            unit = unit.at[:, rows, columns].set(below)
        return FullGaussian(diagonal.mean, diagonal.stddev[..., None] * unit)


class DeterministicHead(nn.Module):
    """q(z | x) is a point mass, affine in the features, as in an autoencoder."""

    latent_dim: int

    @nn.compact
    def __call__(self, h: Array) -> Distribution:
        h = h.reshape(h.shape[0], -1)
        return Deterministic(Dense(self.latent_dim, dtype=h.dtype, wide=True, name="mean")(h))


class StandardNormalHead(nn.Module):
    """q(z | x) = N(0, I) for any features, so that z tells nothing of x and the rate is zero."""

    latent_dim: int

    @nn.compact
    def __call__(self, h: Array) -> Distribution:
        zeros = jnp.zeros((h.shape[0], self.latent_dim), jnp.float32)
        return DiagGaussian(zeros, zeros)
