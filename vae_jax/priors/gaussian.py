"""Gaussian priors."""

import jax.numpy as jnp
from flax import linen as nn

from vae_jax.distributions import DiagGaussian, Distribution, bounded_logvar
from vae_jax.nets.dense import Dense
from vae_jax.types import Array


class StandardNormal(nn.Module):
    """p(z) = N(0, I) for any condition."""

    latent_dim: int

    def __call__(self, c: Array | None = None) -> Distribution:
        zeros = jnp.zeros(self.latent_dim, jnp.float32)
        return DiagGaussian(zeros, zeros)


class LearnedDiagonal(nn.Module):
    """p(z) = N(mean, diag(sigma^2)) with learned parameters, initially N(0, I).

    Given c, mean and log sigma^2 are affine in c: the conditional prior p(z | c) of a CVAE (Sohn et
    al., 2015, NeurIPS).
    """

    latent_dim: int

    @nn.compact
    def __call__(self, c: Array | None = None) -> Distribution:
        if c is None:
            zeros = nn.initializers.zeros_init()
            mean, logvar = (
                self.param(name, zeros, (self.latent_dim,), jnp.float32)
                for name in ("mean", "logvar")
            )
        else:
            mean, logvar = (Dense(self.latent_dim, name=name)(c) for name in ("mean", "logvar"))
        return DiagGaussian(mean, bounded_logvar(logvar))
