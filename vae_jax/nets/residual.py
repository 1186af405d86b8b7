"""Residual networks on maps [N, H, W, F] and on vectors [N, F], and the steps between two sizes.

What a ladder is made of (`vae_jax.models.hierarchical`): a state that residual blocks refine, and that goes from one place
to the next, a place being a map's height and width, or None for a vector. A linear map over channels is a dense layer for
both. States are not activated; every layer activates what it reads.
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

Grid: TypeAlias = tuple[int, int] | None  # height and width, None for a vector


def small_init(depth: int) -> Callable[..., Array]:
    """The initial value of a linear map that is one of `depth` summands of a state: the usual one, times 1 / sqrt(depth).

    The variance of the sum is then that of one summand, however many there are (Child, 2021, arXiv:2011.10650, section 3.3).
    """
    return nn.initializers.variance_scaling(1 / depth, "fan_in", "truncated_normal")


def halvings(large: tuple[int, int], small: tuple[int, int]) -> int:
    """How many halvings, rounding up, lead from a large size to a small one; InputError where none do."""
    for times in range(max(large).bit_length() + 1):
        if halve_resolution(large, times) == small:
            return times
    raise InputError(f"a map of {small}: must come from {large} by halvings, rounding up")


class Style(NamedTuple):
    """What the networks of one ladder have in common."""

    activation: Callable[[Array], Array] = nn.relu
    dtype: Any = None  # of compute and features, see `vae_jax.nets`
    blocks: int = 1  # residual blocks in a row
    depth: int = 1  # residual blocks on the way, by which each starts small
    remat: bool = False  # whether what is inside a block is computed again in the backward pass, to save memory


class Block(nn.Module):
    """h + f(h), shape kept: a 3x3 convolution of a map (a dense layer of a vector), and a linear map over channels.

    The last map starts small, see `small_init`, so that each of many blocks starts close to the identity.
    """

    style: Style = Style()

    @nn.compact
    def __call__(self, h: Array) -> Array:
        width, (activation, dtype, *_) = h.shape[-1], self.style
        inner = (
            Conv(width, kernel_size=3, dtype=dtype) if h.ndim == 4 else Dense(width, dtype=dtype)
        )
        hidden = activation(inner(activation(h)))
        return h + Dense(width, dtype=dtype, kernel_init=small_init(self.style.depth), name="out")(
            hidden
        )


class Blocks(nn.Module):
    """One block after the other; parameters are the same with `remat` and without."""

    style: Style = Style()

    @nn.compact
    def __call__(self, h: Array) -> Array:
        kind = nn.remat(Block) if self.style.remat else Block
        for i in range(self.style.blocks):
            h = kind(self.style, name=f"block_{i}")(h)
        return h


class Down(nn.Module):
    """Features h, activated, to a smaller place: strided convolutions, to the same size a 3x3 one, to a vector a dense one."""

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
    """The way back for a state h: a vector through a dense layer, a map as it is, with its pixels repeated.

    Where the width changes, the map goes through a linear one before. What is added to a larger map tells its pixels apart.
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
            return Dense(size, dtype=dtype)(activation(h)).reshape(
                h.shape[0], *place, self.features
            )
        times = halvings(self.grid, h.shape[1:3])
        if h.shape[-1] != self.features:
            h = Dense(self.features, dtype=dtype)(activation(h))
        for i in reversed(range(times)):
            h = repeat_pixels(h, halve_resolution(self.grid, i))
        return h + self.param("place", nn.initializers.normal(0.1), (*place, self.features)).astype(
            h.dtype
        )


def repeat_pixels(h: Array, size: tuple[int, int]) -> Array:
    """Each pixel of h [N, h, w, F] as a square of four, cropped to size."""
    n, rows, columns, features = h.shape
    h = jnp.broadcast_to(h[:, :, None, :, None], (n, rows, 2, columns, 2, features))
    return h.reshape(n, 2 * rows, 2 * columns, features)[:, : size[0], : size[1]]
