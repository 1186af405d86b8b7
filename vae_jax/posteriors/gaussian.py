"""Gaussian posteriors, and the point that is their limit."""

from collections.abc import Callable

from flax import linen as nn

from vae_jax.distributions import Deterministic, DiagGaussian, Distribution
from vae_jax.nets.dense import Dense
from vae_jax.posteriors.scale import bounded_logvar
from vae_jax.types import Array


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
