"""Posterior heads: features h [B, ...] -> q(z | x), a distribution over [B, D].

The last linear map is taken in the dtype of the features; the distribution is float32 whatever it is.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import linen as nn

from vae_jax.distributions import LOGVAR_RANGE, Deterministic, DiagGaussian, Distribution, soft_clip
from vae_jax.nets.dense import Dense
from vae_jax.types import Array


def bounded_logvar(raw: Array) -> Array:
    """The identity between -14 and 8, smoothly bounded there: standard deviations stay in (9e-4, 55)."""
    return soft_clip(raw, *LOGVAR_RANGE)


def softplus_logvar(raw: Array) -> Array:
    """log-variance of a standard deviation softplus(raw) + 1e-3, which grows linearly instead of exponentially."""
    return 2 * jnp.log(jax.nn.softplus(raw) + 1e-3)


class DiagGaussianHead(nn.Module):
    """q(z | x) = N(mean, diag(exp(logvar))), both affine in the features; `logvar_fn` keeps the scale in bounds."""

    latent_dim: int
    logvar_fn: Callable[[Array], Array] = bounded_logvar

    @nn.compact
    def __call__(self, h: Array) -> Distribution:
        h = h.reshape(h.shape[0], -1)
        mean = Dense(self.latent_dim, dtype=h.dtype, wide=True, name="mean")(h)
        logvar = Dense(self.latent_dim, dtype=h.dtype, wide=True, name="logvar")(h)
        return DiagGaussian(mean, self.logvar_fn(logvar))


class DeterministicHead(nn.Module):
    """q(z | x) is a point, affine in the features: what makes the model an autoencoder."""

    latent_dim: int

    @nn.compact
    def __call__(self, h: Array) -> Distribution:
        h = h.reshape(h.shape[0], -1)
        return Deterministic(Dense(self.latent_dim, dtype=h.dtype, wide=True, name="mean")(h))
