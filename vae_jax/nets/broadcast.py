"""A decoder of images that is told where each pixel is."""

from collections.abc import Callable, Sequence
from typing import Any

import chex
import jax.numpy as jnp
from flax import linen as nn

from vae_jax.nets.conditioning import concat_condition
from vae_jax.nets.conv import double_to_half, halve_resolution
from vae_jax.nets.dense import Dense
from vae_jax.types import Array


class BroadcastDecoder(nn.Module):
    """Broadcast z over a grid of coordinates, then double its resolution to half the event size.

        h_ij <- activation(A h + B (row_i, column_j) + b),    rows and columns from -1 to 1

    and a second dense layer for each cell, both of `channels[0]` features; each further entry is a
    transposed convolution as in `ConvDecoder`. An object moves by a shift of coordinates.

    After Watters et al., 2019, arXiv:1901.07017, whose grid has the size of the image and whose
    convolutions do not change it: here the grid is small, for speed.
    """

    event_shape: Sequence[int]
    channels: Sequence[int] = (64, 32, 16)
    hidden: Sequence[int] = (128,)
    activation: Callable[[Array], Array] = nn.relu
    dtype: Any = None  # dtype of compute and features, see `vae_jax.nets`

    @nn.compact
    def __call__(self, z: Array, c: Array | None = None) -> Array:
        """Latents z [N, D] and an optional condition c [N, C] -> h.

        h has shape [N, ceil(H / 2), ceil(W / 2), channels[-1]].
        """
        chex.assert_rank(z, 2)
        size = tuple(self.event_shape[:2])
        width = self.channels[0]
        h = concat_condition(z, c)
        for features in self.hidden:
            h = self.activation(Dense(features, dtype=self.dtype)(h))
        h = Dense(width, dtype=self.dtype)(h)[:, None, None]
        grid = coordinates(*halve_resolution(size, len(self.channels)))
        h = self.activation(h + Dense(width, dtype=h.dtype)(grid))
        h = self.activation(Dense(width, dtype=self.dtype)(h))
        return double_to_half(h, size, self.channels[1:], self.activation)


def coordinates(height: int, width: int) -> Array:
    """Row and column of the centers of equal cells in [-1, 1], float32 [height, width, 2]."""
    rows, columns = (2 * (jnp.arange(n) + 0.5) / n - 1 for n in (height, width))
    return jnp.stack(jnp.meshgrid(rows, columns, indexing="ij"), -1).astype(jnp.float32)
