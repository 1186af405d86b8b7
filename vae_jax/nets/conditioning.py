"""Conditioning: labels or vectors y as vectors c, and how networks use c."""

import jax
import jax.numpy as jnp
from flax import linen as nn

from vae_jax.nets.dense import Dense
from vae_jax.types import Array


class OneHot(nn.Module):
    """Class labels y [...] -> c [..., num_classes].

    Labels outside 0 .. num_classes - 1, such as -1, are all zeros.
    """

    num_classes: int

    def __call__(self, y: Array) -> Array:
        return jax.nn.one_hot(y, self.num_classes, dtype=jnp.float32)

    def example(self, num: int) -> Array:
        """Labels of the right shape and type."""
        return jnp.zeros(num, jnp.int32)


class Vector(nn.Module):
    """Vectors y [..., size] unchanged, in float32."""

    size: int

    def __call__(self, y: Array) -> Array:
        return y.astype(jnp.float32)

    def example(self, num: int) -> Array:
        """Vectors of the right shape and type."""
        return jnp.zeros((num, self.size), jnp.float32)


def call_with_condition(network: nn.Module, x: Array, c: Array | None) -> Array:
    """Features of x from a network that is called with the condition c [N, C] only if given."""
    return network(x) if c is None else network(x, c)


def concat_condition(h: Array, c: Array | None) -> Array:
    """Concatenate vectors h [N, F] and the condition c [N, C], in the dtype of h."""
    return h if c is None else jnp.concatenate([h, c.astype(h.dtype)], axis=-1)


class Shift(nn.Module):
    """Add a linear map of the condition c [N, C] to features h [N, ..., F]; the identity without c.

    On a feature map, it equals constant maps concatenated to the input of the layer before, except
    at the border, and is cheaper.
    """

    @nn.compact
    def __call__(self, h: Array, c: Array | None) -> Array:
        if c is None:
            return h
        shift = Dense(h.shape[-1], dtype=h.dtype, name="condition")(c)
        return h + shift.reshape(shift.shape[0], *(1,) * (h.ndim - 2), -1)
