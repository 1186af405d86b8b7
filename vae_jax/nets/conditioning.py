"""What a model is conditioned on: y, a class label or a vector, as a vector c; and how networks take it in."""

import jax
import jax.numpy as jnp
from flax import linen as nn

from vae_jax.nets.dense import Dense
from vae_jax.types import Array


class OneHot(nn.Module):
    """Class labels y [...] as c [..., num_classes]; a label outside of 0 .. num_classes - 1, such as -1, is all zeros."""

    num_classes: int

    def __call__(self, y: Array) -> Array:
        return jax.nn.one_hot(y, self.num_classes)

    def example(self, num: int) -> Array:
        """Labels of the right shape and type."""
        return jnp.zeros(num, jnp.int32)


class Vector(nn.Module):
    """Vectors y [..., size] as they are, in float32."""

    size: int

    def __call__(self, y: Array) -> Array:
        return y.astype(jnp.float32)

    def example(self, num: int) -> Array:
        """Vectors of the right shape and type."""
        return jnp.zeros((num, self.size))


def concat_condition(h: Array, c: Array | None) -> Array:
    """Vectors h [N, F] with the condition c [N, C] behind them, in the dtype of h: all that a first dense layer needs."""
    return h if c is None else jnp.concatenate([h, c.astype(h.dtype)], axis=-1)


class Shift(nn.Module):
    """A linear map of the condition c [N, C], added to features h [N, ..., F], a map or a vector; nothing where there is no c.

    On a map it equals constant maps beside the input of the layer before, but at the border, and cheaper.
    """

    @nn.compact
    def __call__(self, h: Array, c: Array | None) -> Array:
        if c is None:
            return h
        shift = Dense(h.shape[-1], dtype=h.dtype, name="condition")(c)
        return h + shift.reshape(shift.shape[0], *(1,) * (h.ndim - 2), -1)
