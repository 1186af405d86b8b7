"""Residual networks on maps [N, H, W, F] and vectors [N, F], and the steps between sizes.

They build ladders (`vae_jax.models.hierarchical`). Residual blocks refine a state, which moves
between places; a place is the height and width of a map, or None for a vector. A linear map over
channels is a dense layer for both. States are not activated; every layer activates its input.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import jax.numpy as jnp
from flax import linen as nn

from vae_jax.errors import InputError
from vae_jax.nets.conv import halve_resolution
from vae_jax.nets.convolution import Conv
from vae_jax.nets.dense import Dense
from vae_jax.types import Array

Grid: TypeAlias = tuple[int, ...] | None  # height and width, None for a vector


def small_init(depth: int) -> Callable[..., Array]:
    """An initializer for one of `depth` linear maps that are summed: lecun_normal / sqrt(depth).

    It is called as initializers of Flax, with a key, a shape and a dtype.

    The variance of the sum does not depend on `depth` (Child, 2021, arXiv:2011.10650, section 3.3).
    """
    return nn.initializers.variance_scaling(1 / depth, "fan_in", "truncated_normal")


def halvings(large: tuple[int, ...], small: tuple[int, ...]) -> int:
    """The number of halvings, rounding up, from a large size to a small one.

    Raises InputError if there is none.
    """
    for times in range(max(large).bit_length() + 1):
        if halve_resolution(large, times) == small:
            return times
    raise InputError(f"a map of {small}: must be {large} halved some times, rounding up")


class Style(NamedTuple):
    """Settings shared by the networks of one ladder."""

    activation: Callable[[Array], Array] = nn.relu
    dtype: Any = None  # dtype of compute and features, see `vae_jax.nets`
    blocks: int = 1  # residual blocks in a row
    depth: int = 1  # residual blocks in total, for `small_init`
    remat: bool = False  # recompute blocks in the backward pass, to save memory


class Block(nn.Module):
    """h + f(h), of the same shape: a 3x3 convolution (dense for a vector) and a map over channels.

    The last map starts small, see `small_init`, so deep stacks start near the identity.
    """

    style: Style = Style()

    @nn.compact
    def __call__(self, h: Array) -> Array:
        width = h.shape[-1]
        activation, dtype, *_ = self.style
        is_map = h.ndim == 4
        inner = Conv(width, kernel_size=3, dtype=dtype) if is_map else Dense(width, dtype=dtype)
        hidden = activation(inner(activation(h)))
        out = Dense(width, dtype=dtype, kernel_init=small_init(self.style.depth), name="out")
        return h + out(hidden)


class Blocks(nn.Module):
    """Blocks in sequence; the parameters do not depend on `remat`."""

    style: Style = Style()

    @nn.compact
    def __call__(self, h: Array) -> Array:
        kind = nn.remat(Block) if self.style.remat else Block
        for i in range(self.style.blocks):
            h = kind(self.style, name=f"block_{i}")(h)
        return h


class Down(nn.Module):
    """Features h, activated, to a smaller place.

    Strided convolutions; a 3x3 one at the same size; a dense layer to a vector.
    """

    grid: Grid
    features: int
    style: Style = Style()

    @nn.compact
    def __call__(self, h: Array) -> Array:
        dtype = self.style.dtype
        if self.grid is None:
            return Dense(self.features, dtype=dtype)(h.reshape(h.shape[0], -1))
        times = halvings(h.shape[1:3], self.grid)
        if times == 0:
            return Conv(self.features, kernel_size=3, dtype=dtype)(h)
        for i in range(times):
            h = self.style.activation(h) if i else h
            h = Conv(self.features, kernel_size=4, stride=2, dtype=dtype)(h)
        return h


class Up(nn.Module):
    """A state h to a larger place: a dense layer for a vector, repeated pixels for a map.

    If the width changes, the map first passes a linear layer. A learned term distinguishes the
    repeated pixels.
    """

    grid: Grid
    features: int
    style: Style = Style()

    @nn.compact
    def __call__(self, h: Array) -> Array:
        activation, dtype, *_ = self.style
        place = self.grid or ()
        if h.ndim == 2:
            size = math.prod(place) * self.features
            h = Dense(size, dtype=dtype)(activation(h))
            return h.reshape(h.shape[0], *place, self.features)
        times = halvings(place, h.shape[1:3])
        if h.shape[-1] != self.features:
            h = Dense(self.features, dtype=dtype)(activation(h))
        for i in reversed(range(times)):
            h = repeat_pixels(h, halve_resolution(place, i))
        offset = self.param(
            "place", nn.initializers.normal(0.1), (*place, self.features), jnp.float32
        )
        return h + offset.astype(h.dtype)[None]


def repeat_pixels(h: Array, size: tuple[int, ...]) -> Array:
    """Repeat each pixel of h [N, h, w, F] 2x2 and crop to `size`."""
    n, rows, columns, features = h.shape
    h = jnp.broadcast_to(h[:, :, None, :, None], (n, rows, 2, columns, 2, features))
    return h.reshape(n, 2 * rows, 2 * columns, features)[:, : size[0], : size[1]]
