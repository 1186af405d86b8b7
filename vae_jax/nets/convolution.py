"""Layers of 2-D convolutions and transposed convolutions, on `vae_jax.nets.conv_ops`."""

from collections.abc import Callable
from typing import Any, ClassVar

import jax.numpy as jnp
from flax import linen as nn

from vae_jax.nets.conv_geometry import Pair
from vae_jax.nets.conv_ops import conv, conv_transpose
from vae_jax.nets.dense import add_bias
from vae_jax.types import Array


class _Layer(nn.Module):
    """Layers with flax.linen's parameters by name, shape and initial value, for checkpoints."""

    function: ClassVar[Callable[..., Array]]
    features: int
    kernel_size: int | Pair
    stride: int = 1
    padding: str = "SAME"
    use_bias: bool = True
    kernel_init: Callable[..., Array] = nn.initializers.lecun_normal()
    bias_init: Callable[..., Array] = nn.initializers.zeros_init()
    dtype: Any = None
    wide: bool = False  # return float32 for any dtype

    @nn.compact
    def __call__(self, x: Array) -> Array:
        size = self.kernel_size
        if isinstance(size, int):
            size = (size, size)
        kernel = self.param(
            "kernel", self.kernel_init, (*size, x.shape[-1], self.features), jnp.float32
        )
        bias = (
            self.param("bias", self.bias_init, (self.features,), jnp.float32)
            if self.use_bias
            else None
        )
        x, kernel = nn.dtypes.promote_dtype(x, kernel, dtype=self.dtype)
        y = self.function(x, kernel, stride=self.stride, padding=self.padding)
        return add_bias(y, bias, wide=self.wide)


class Conv(_Layer):
    """Convolution ``[N, H, W, Cin] -> [N, P, Q, features]``; see `conv`."""

    function = staticmethod(conv)


class ConvTranspose(_Layer):
    """Transposed convolution ``[N, H, W, Cin] -> [N, P, Q, features]``; see `conv_transpose`."""

    function = staticmethod(conv_transpose)
