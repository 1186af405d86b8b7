"""Mixtures of learned Gaussians."""

import jax.numpy as jnp
from flax import linen as nn

from vae_jax.distributions import Distribution, MixtureOfGaussians, bounded_logvar
from vae_jax.nets.dense import Dense
from vae_jax.types import Array


class Mixture(nn.Module):
    """p(z) = sum_k w_k N(mean_k, diag(sigma_k^2)), all learned.

    The components start with unit variance and means sampled from N(0, I). Given c [B, C], means
    and log-weights are shifted by linear maps of c; the scales do not depend on c.
    """

    latent_dim: int
    num_components: int = 10

    @nn.compact
    def __call__(self, c: Array | None = None) -> Distribution:
        shape = (self.num_components, self.latent_dim)
        zeros = nn.initializers.zeros_init()
        means = self.param("means", nn.initializers.normal(1.0), shape, jnp.float32)
        logvars = bounded_logvar(self.param("logvars", zeros, shape, jnp.float32))
        logits = self.param("logits", zeros, shape[:1], jnp.float32)
        if c is not None:
            means = means[None] + Dense(means.size, name="means_of_c")(c).reshape(-1, *shape)
            logits = logits[None] + Dense(logits.size, name="logits_of_c")(c)
        return MixtureOfGaussians(means, jnp.broadcast_to(logvars, means.shape), logits)
