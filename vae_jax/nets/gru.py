"""Gated recurrent units over sequences.

The variant is that of cuDNN, with the reset after the product, so that one product serves all
gates (Cho et al., 2014, arXiv:1406.1078v1; Chung et al., 2014, arXiv:1412.3555):

    r = sigmoid(i_r + h W_r)
    u = sigmoid(i_u + h W_u)
    c = tanh(i_c + r * (h W_c + b))
    h' = (1 - u) * c + u * h

The inputs i = (i_r, i_u, i_c) [N, 3 F] are affine in the input of the step and in the context, with
all other biases. They do not depend on the state, so they are computed for all steps at once.

The state is float32; products are computed in the dtype of the inputs.
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from vae_jax.types import Array


def gru_step(kernel: Array, bias: Array, inputs: Array, h: Array) -> Array:
    """The state h' [N, F] after the state h [N, F].

    The kernel (W_r, W_u, W_c) is [F, 3 F], the bias b of the candidate [F], the inputs [N, 3 F].
    """
    products = (h.astype(inputs.dtype) @ kernel.astype(inputs.dtype)).astype(h.dtype)
    i_r, i_u, i_c = jnp.split(inputs.astype(h.dtype), 3, axis=-1)
    g_r, g_u, g_c = jnp.split(products, 3, axis=-1)
    r, u = jax.nn.sigmoid(i_r + g_r), jax.nn.sigmoid(i_u + g_u)
    candidate = jnp.tanh(i_c + r * (g_c + bias))
    return (1 - u) * candidate + u * h


def gru_sequence(
    kernel: Array,
    bias: Array,
    inputs: Array,
    h: Array,
    mask: Array | None = None,
    *,
    reverse: bool = False,
) -> tuple[Array, Array]:
    """The states of all steps, from the state h [N, F] before the first.

    Args:
      kernel, bias: as in `gru_step`.
      inputs: [T, N, 3 F], the steps first.
      h: [N, F].
      mask: [T, N]; a step without it leaves the state as it is, whatever its inputs are.
      reverse: from the last step to the first.

    Returns:
      The final state [N, F] and the states after each step [T, N, F].
    """

    def body(h: Array, step: tuple[Array, Array | None]) -> tuple[Array, Array]:
        inputs, mask = step
        new = gru_step(kernel, bias, inputs, h)
        new = new if mask is None else jnp.where(mask[:, None], new, h)
        return new, new

    return jax.lax.scan(body, h, (inputs, mask), reverse=reverse)


def _orthogonal_gates(key: Array, shape: tuple[int, int], dtype: Any = jnp.float32) -> Array:
    """A kernel [F, 3 F] of three orthogonal matrices."""
    init = nn.initializers.orthogonal()
    gates = [init(k, (shape[0], shape[0]), dtype) for k in jax.random.split(key, 3)]
    return jnp.concatenate(gates, axis=1)


class GRU(nn.Module):
    """A layer of gated recurrent units, see `vae_jax.nets.gru`."""

    features: int

    def setup(self) -> None:
        shape = (self.features, 3 * self.features)
        self.kernel = self.param("kernel", _orthogonal_gates, shape)
        self.bias = self.param("bias", nn.initializers.zeros_init(), (self.features,))

    def __call__(
        self, inputs: Array, h: Array, mask: Array | None = None, *, reverse: bool = False
    ) -> tuple[Array, Array]:
        """The final state and the states of all steps, see `gru_sequence`."""
        return gru_sequence(self.kernel, self.bias, inputs, h, mask, reverse=reverse)

    def step(self, inputs: Array, h: Array) -> Array:
        """The state after one step, see `gru_step`."""
        return gru_step(self.kernel, self.bias, inputs, h)
