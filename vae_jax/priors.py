"""Priors: () -> p(z), a distribution over [D]."""

import jax.numpy as jnp
from flax import linen as nn

from vae_jax.distributions import DiagGaussian, Distribution


class StandardNormal(nn.Module):
    """p(z) = N(0, I)."""

    latent_dim: int

    def __call__(self) -> Distribution:
        zeros = jnp.zeros(self.latent_dim)
        return DiagGaussian(zeros, zeros)
