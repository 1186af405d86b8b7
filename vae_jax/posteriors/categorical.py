"""Categorical posteriors."""

import jax.numpy as jnp
from flax import linen as nn

from vae_jax.distributions import Distribution, OneHotCategorical
from vae_jax.nets.dense import Dense
from vae_jax.types import Array, Scalar


class GumbelSoftmaxHead(nn.Module):
    """q(z | x): N = `num_variables` categorical variables of M = `num_classes`.

    The logits are affine in the features. z is one-hot and flat, [B, N * M]; its straight-through
    gradient is from the relaxation at `temperature` (Jang et al., 2017, arXiv:1611.01144). The
    bound is exactly the bound of the discrete model; its gradient has the bias of the relaxation.
    """

    num_variables: int
    num_classes: int
    temperature: Scalar = 1.0

    @property
    def latent_dim(self) -> int:
        """N * M."""
        return self.num_variables * self.num_classes

    @nn.compact
    def __call__(self, h: Array) -> Distribution:
        h = h.reshape(h.shape[0], -1)
        logits = Dense(self.latent_dim, dtype=h.dtype, wide=True, name="logits")(h)
        temperature = jnp.broadcast_to(
            jnp.asarray(self.temperature, logits.dtype), (h.shape[0], 1, 1)
        )
        return OneHotCategorical(logits, self.num_classes, temperature)
