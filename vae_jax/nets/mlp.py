"""Multilayer perceptrons."""

from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
from flax import linen as nn

from vae_jax.nets.conditioning import concat_condition
from vae_jax.nets.dense import Dense
from vae_jax.types import Array


class MLP(nn.Module):
    """Dense layers, each followed by the activation; without layers it only flattens.

    The last linear map, to the parameters of a distribution, belongs to the head that follows.

    A gated layer has no activation: h <- (A h + a) * sigmoid(B h + b), elementwise (Dauphin et al.,
    2017, arXiv:1612.08083), as in the networks of the VampPrior (Tomczak and Welling, 2018).
    """

    features: Sequence[int]
    activation: Callable[[Array], Array] = nn.relu
    dtype: Any = None  # dtype of compute and features, see `vae_jax.nets`
    gated: bool = False

    @nn.compact
    def __call__(self, x: Array, c: Array | None = None) -> Array:
        """Inputs x [N, ...] and an optional condition c [N, C] -> h [N, features[-1]]."""
        [h] = nn.dtypes.promote_dtype(x.reshape(x.shape[0], -1), dtype=self.dtype)
        h = concat_condition(h, c)
        for size in self.features:
            if self.gated:
                h = nn.glu(Dense(2 * size, dtype=self.dtype)(h))
            else:
                h = self.activation(Dense(size, dtype=self.dtype)(h))
        return h


class Constant(nn.Module):
    """Features [N, 1] that don't depend on the input, but for the condition that follows them."""

    @nn.compact
    def __call__(self, x: Array, c: Array | None = None) -> Array:
        """Inputs x [N, ...] and an optional condition c [N, C] -> [N, 1 + C]."""
        return concat_condition(jnp.ones((x.shape[0], 1), jnp.float32), c)
