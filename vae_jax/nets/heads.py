"""Networks that output logits, trained by some objectives along with the model."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from flax import linen as nn

from vae_jax.nets.conditioning import call_with_condition
from vae_jax.nets.dense import Dense
from vae_jax.nets.mlp import MLP
from vae_jax.types import Array


class Critic(nn.Module):
    """The critic of FactorVAE: z [N, D] -> logits [N, 2]; dense layers, leaky ReLUs of slope 0.2.

    Kim and Mnih, 2018, arXiv:1802.05983, use six layers of 1,000.
    """

    widths: Sequence[int] = (256, 256, 256)
    dtype: Any = None  # dtype of compute, see `vae_jax.nets`; the logits are float32

    @nn.compact
    def __call__(self, z: Array, c: Array | None = None) -> Array:
        h = MLP(self.widths, partial(nn.leaky_relu, negative_slope=0.2), self.dtype)(z, c)
        return Dense(2, dtype=h.dtype, wide=True, name="logits")(h)


class Regressor(nn.Module):
    """A number for each z [N, D]: dense layers with ReLU, and one output, 0 before training."""

    widths: Sequence[int] = ()
    dtype: Any = None  # dtype of compute, see `vae_jax.nets`; the output is float32

    @nn.compact
    def __call__(self, z: Array, c: Array | None = None) -> Array:
        """Z [N, D] -> [N]."""
        h = MLP(self.widths, dtype=self.dtype, name="hidden")(z, c)
        zeros = nn.initializers.zeros_init()
        return Dense(1, dtype=h.dtype, wide=True, kernel_init=zeros, name="out")(h)[:, 0]


class Classifier(nn.Module):
    """Logits of q(y | x): network features of x [N, *E] and a dense layer to [N, num_classes]."""

    features: nn.Module
    num_classes: int

    @nn.compact
    def __call__(self, x: Array, c: Array | None = None) -> Array:
        h = call_with_condition(self.features, x, c)
        h = h.reshape(h.shape[0], -1)
        return Dense(self.num_classes, dtype=h.dtype, wide=True, name="logits")(h)
