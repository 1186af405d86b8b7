"""Priors over one-hot vectors."""

import jax.numpy as jnp
from flax import linen as nn

from vae_jax.distributions import Distribution, OneHotCategorical
from vae_jax.types import Array


class UniformCategorical(nn.Module):
    """p(z) of N = `num_variables` uniform variables of M = `num_classes`, one-hot: [N * M]."""

    num_variables: int
    num_classes: int

    def __call__(self, c: Array | None = None) -> Distribution:
        logits = jnp.zeros(self.num_variables * self.num_classes, jnp.float32)
        return OneHotCategorical(logits, self.num_classes)
