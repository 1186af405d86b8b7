"""The residual convolutions of the VQ-VAE: encoders to a map of features, and decoders from one, for images of any size.

Sizes are those of `vae_jax.nets.conv`: each level halves height and width, rounding up.
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
    """Blocks h + conv1x1(relu(conv3x3(relu(h)))), `residual_features` wide inside, and a last relu: [N, h, w, F] kept."""

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
    """Strided convolutions, a 3x3 one and residual blocks: x [N, H, W, C] -> h [N, ceil(H / 2^n), ceil(W / 2^n), features].

    With the defaults the network of van den Oord et al., 2017, arXiv:1711.00937, as published in the library of its authors:
    n = 2 strided 4x4 convolutions, the first of half the width.
    """

    features: int = 128
    residual_features: int = 32
    num_blocks: int = 2
    num_levels: int = 2  # n
    dtype: Any = None  # of compute and features, see `vae_jax.nets`

    @nn.compact
    def __call__(self, x: Array, c: Array | None = None) -> Array:
        """X [N, H, W, C], and where there is a condition c [N, C'] -> h."""
        chex.assert_rank(x, 4)
        [h] = nn.dtypes.promote_dtype(x, dtype=self.dtype)
        for level in range(self.num_levels):
            width = self.features if level else self.features // 2
            h = nn.relu(Shift()(Conv(width, kernel_size=4, stride=2, dtype=self.dtype)(h), c))
        h = Shift()(Conv(self.features, kernel_size=3, dtype=self.dtype)(h), c)
        return ResidualStack(self.num_blocks, self.residual_features, self.dtype)(h)


class ResNetDecoder(nn.Module):
    """A 3x3 convolution, residual blocks and transposed convolutions, the mirror of `ResNetEncoder`, up to half the event.

    The last doubling is the likelihood head's; with `num_levels` 0 there is none, and the map has the size of the event.
    """

    event_shape: Sequence[int]
    features: int = 128
    residual_features: int = 32
    num_blocks: int = 2
    num_levels: int = 2
    dtype: Any = None  # of compute and features, see `vae_jax.nets`

    @nn.compact
    def __call__(self, z: Array, c: Array | None = None) -> Array:
        """Z [N, h, w, d] of the size of the encoder's map, and where there is a condition c [N, C'] -> h [N, H', W', F]."""
        size = tuple(self.event_shape[:2])
        chex.assert_shape(z, (None, *halve_resolution(size, self.num_levels), None))
        [h] = nn.dtypes.promote_dtype(z, dtype=self.dtype)
        h = Shift()(Conv(self.features, kernel_size=3, dtype=self.dtype)(h), c)
        h = ResidualStack(self.num_blocks, self.residual_features, self.dtype)(h)
        for level in reversed(range(1, self.num_levels)):
            h = nn.relu(
                double_resolution(
                    h,
                    self.features if level > 1 else self.features // 2,
                    halve_resolution(size, level),
                )
            )
        return h
