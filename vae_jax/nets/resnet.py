"""Residual convolutions of the VQ-VAE: encoders to feature maps and decoders from them.

For images of any size, with the sizes of `vae_jax.nets.conv`: each level halves height and width,
rounding up.
"""

from collections.abc import Sequence
from typing import Any

import chex
from flax import linen as nn

from vae_jax.nets.conditioning import Shift
from vae_jax.nets.conv import double_resolution, halve_resolution
from vae_jax.nets.convolution import Conv
from vae_jax.types import Array


class ResidualStack(nn.Module):
    """Blocks h + conv1x1(relu(conv3x3(relu(h)))) and a final relu, [N, h, w, F] -> [N, h, w, F].

    The blocks are `residual_features` wide inside.
    """

    num_blocks: int
    residual_features: int
    dtype: Any = None

    @nn.compact
    def __call__(self, h: Array) -> Array:
        for _ in range(self.num_blocks):
            inner = Conv(self.residual_features, kernel_size=3, dtype=self.dtype)(nn.relu(h))
            h = h + Conv(h.shape[-1], kernel_size=1, dtype=self.dtype)(nn.relu(inner))
        return nn.relu(h)


class ResNetEncoder(nn.Module):
    """Strided convolutions, a 3x3 one and residual blocks.

    x [N, H, W, C] -> h [N, ceil(H / 2^n), ceil(W / 2^n), features]. The defaults are the network of
    van den Oord et al., 2017, arXiv:1711.00937, as published by its authors: n = 2 strided 4x4
    convolutions, the first with half the width.
    """

    features: int = 128
    residual_features: int = 32
    num_blocks: int = 2
    num_levels: int = 2  # n
    dtype: Any = None  # dtype of compute and features, see `vae_jax.nets`

    @nn.compact
    def __call__(self, x: Array, c: Array | None = None) -> Array:
        """Images x [N, H, W, C] and an optional condition c [N, C'] -> h."""
        chex.assert_rank(x, 4)
        [h] = nn.dtypes.promote_dtype(x, dtype=self.dtype)
        for level in range(self.num_levels):
            width = self.features if level else self.features // 2
            h = nn.relu(Shift()(Conv(width, kernel_size=4, stride=2, dtype=self.dtype)(h), c))
        h = Shift()(Conv(self.features, kernel_size=3, dtype=self.dtype)(h), c)
        return ResidualStack(self.num_blocks, self.residual_features, self.dtype)(h)


class ResNetDecoder(nn.Module):
    """The mirror of `ResNetEncoder`, up to half the event size.

    A 3x3 convolution, residual blocks and transposed convolutions. The likelihood head does the
    last doubling; with `num_levels` 0 there is none, and the map has the size of the event.
    """

    event_shape: Sequence[int]
    features: int = 128
    residual_features: int = 32
    num_blocks: int = 2
    num_levels: int = 2
    dtype: Any = None  # dtype of compute and features, see `vae_jax.nets`

    @nn.compact
    def __call__(self, z: Array, c: Array | None = None) -> Array:
        """Latents z [N, h, w, d] and an optional condition c [N, C'] -> h [N, H', W', F].

        z has the grid of the encoder's feature map.
        """
        size = tuple(self.event_shape[:2])
        chex.assert_shape(z, (None, *halve_resolution(size, self.num_levels), None))
        [h] = nn.dtypes.promote_dtype(z, dtype=self.dtype)
        h = Shift()(Conv(self.features, kernel_size=3, dtype=self.dtype)(h), c)
        h = ResidualStack(self.num_blocks, self.residual_features, self.dtype)(h)
        for level in reversed(range(1, self.num_levels)):
            width = self.features if level > 1 else self.features // 2
            h = nn.relu(double_resolution(h, width, halve_resolution(size, level)))
        return h
