"""Gaussian priors."""

import jax.numpy as jnp
from flax import linen as nn

from vae_jax.distributions import DiagGaussian, Distribution
from vae_jax.priors.base import Encode
from vae_jax.types import Array


class StandardNormal(nn.Module):
    """p(z) = N(0, I), whatever the condition."""

    latent_dim: int

    def __call__(self, c: Array | None = None, *, encode: Encode | None = None) -> Distribution:
        zeros = jnp.zeros(self.latent_dim)
        return DiagGaussian(zeros, zeros)
