"""Convolutional encoders and decoders for images of any size.

4x4 kernels with stride 2 avoid checkerboard artifacts. Each level halves height and width, rounding
up; the decoder reverses the same sizes, cropping where the encoder rounded up. The last doubling,
to the size of the event, belongs to the likelihood head.
"""

from collections.abc import Callable, Sequence
from typing import Any

import chex
from flax import linen as nn

from vae_jax.nets.conditioning import Shift, concat_condition
from vae_jax.nets.convolution import Conv, ConvTranspose
from vae_jax.nets.dense import Dense
from vae_jax.types import Array


def halve_resolution(size: tuple[int, ...], times: int) -> tuple[int, ...]:
    """Height and width after `times` halvings, rounding up."""
    for _ in range(times):
        size = (-(-size[0] // 2), -(-size[1] // 2))
    return size


def double_resolution(
    h: Array, features: int, size: tuple[int, ...], *, wide: bool = False, name: str | None = None
) -> Array:
    """A 4x4 stride-2 transposed convolution in the dtype of h, cropped to `size`.

    ``[N, h, w, C] -> [N, *size, features]``.
    """
    h = ConvTranspose(features, kernel_size=4, stride=2, dtype=h.dtype, wide=wide, name=name)(h)
    return h[:, : size[0], : size[1]]


def double_to_half(
    h: Array,
    size: tuple[int, ...],
    channels: Sequence[int],
    activation: Callable[[Array], Array],
) -> Array:
    """Double the resolution of h once for each width, to half of `size`, in a compact method.

    ``[N, h, w, C] -> [N, ceil(H / 2), ceil(W / 2), channels[-1]]``, where h and w are H and W
    halved once more than there are widths.
    """
    for times, width in enumerate(channels):
        level_size = halve_resolution(size, len(channels) - times)
        h = activation(double_resolution(h, width, level_size))
    return h


class ConvEncoder(nn.Module):
    """Strided convolutions, then dense layers."""

    channels: Sequence[int] = (32, 32, 64, 64)
    hidden: Sequence[int] = (256,)
    activation: Callable[[Array], Array] = nn.relu
    dtype: Any = None  # dtype of compute and features, see `vae_jax.nets`

    @nn.compact
    def __call__(self, x: Array, c: Array | None = None) -> Array:
        """Images x [N, H, W, C] and an optional condition c [N, C'] -> h [N, hidden[-1]]."""
        chex.assert_rank(x, 4)
        [h] = nn.dtypes.promote_dtype(x, dtype=self.dtype)
        for size in self.channels:
            h = Conv(size, kernel_size=4, stride=2, dtype=self.dtype)(h)
            h = self.activation(Shift()(h, c))
        h = concat_condition(h.reshape(h.shape[0], -1), c)
        for size in self.hidden:
            h = self.activation(Dense(size, dtype=self.dtype)(h))
        return h


class ConvDecoder(nn.Module):
    """Dense layers to the smallest grid, then transposed convolutions up to half the event size.

    The mirror of `ConvEncoder` with the widths reversed: `channels[0]` is the depth of the smallest
    grid, and each further entry doubles the resolution. The likelihood head does the last doubling.
    """

    event_shape: Sequence[int]
    channels: Sequence[int] = (64, 64, 32, 32)
    hidden: Sequence[int] = (256,)
    activation: Callable[[Array], Array] = nn.relu
    dtype: Any = None  # dtype of compute and features, see `vae_jax.nets`

    @nn.compact
    def __call__(self, z: Array, c: Array | None = None) -> Array:
        """Latents z [N, D] and an optional condition c [N, C] -> h.

        h has shape [N, ceil(H / 2), ceil(W / 2), channels[-1]].
        """
        chex.assert_rank(z, 2)
        size = tuple(self.event_shape[:2])
        grid = halve_resolution(size, len(self.channels))
        h = concat_condition(z, c)
        for width in (*self.hidden, grid[0] * grid[1] * self.channels[0]):
            h = self.activation(Dense(width, dtype=self.dtype)(h))
        h = h.reshape(h.shape[0], *grid, self.channels[0])
        return double_to_half(h, size, self.channels[1:], self.activation)


def burgess_encoder(*, dtype: Any = None) -> ConvEncoder:
    """The 64x64 encoder of Burgess et al., 2018, arXiv:1804.03599.

    Its widths are from Locatello et al., 2019, arXiv:1811.12359.
    """
    return ConvEncoder(channels=(32, 32, 64, 64), hidden=(256,), dtype=dtype)


def burgess_decoder(event_shape: Sequence[int] = (64, 64, 1), *, dtype: Any = None) -> ConvDecoder:
    """The decoder of `burgess_encoder`: 256, 4x4x64, then 64, 32 and 32 channels.

    The likelihood head adds the channels of the data.
    """
    return ConvDecoder(event_shape, channels=(64, 64, 32, 32), hidden=(256,), dtype=dtype)
