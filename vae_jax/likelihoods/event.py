"""What all heads share: what they say of their values, and the last linear map, to numbers for each dimension of the event."""

import math
from collections.abc import Sequence
from typing import ClassVar

import chex
from flax import linen as nn

from vae_jax.errors import InputError, check_range
from vae_jax.nets.conv import double_resolution, halve_resolution
from vae_jax.nets.convolution import Conv
from vae_jax.nets.dense import Dense
from vae_jax.types import Array

REALS = (-math.inf, math.inf)


class Likelihood(nn.Module):
    """A head, and the values it has a density or masses on, for data to be checked against."""

    event_shape: Sequence[int]
    support: ClassVar[tuple[float, float]] = REALS  # from the least to the greatest
    binary: ClassVar[bool] = False  # only the two ends of it
    levels: ClassVar[int] = 0  # only so many of equal distance in [0, 1]; 0 where it isn't a grid
    integers: ClassVar[bool] = False  # only whole numbers


class GridLikelihood(Likelihood):
    """A head whose masses are on k / (levels - 1), k = 0 .. levels - 1; what lies between is scored as the nearest."""

    levels: int = 256
    support: ClassVar[tuple[float, float]] = (0.0, 1.0)

    def __post_init__(self) -> None:
        check_range("levels", self.levels, 2)
        super().__post_init__()

    @property
    def binary(self) -> bool:
        """Whether only the two ends of the support have mass."""
        return self.levels == 2


class EventLayer(nn.Module):
    """Features to `num_params` numbers per dimension of the event: ``[N, ...] -> [*lead, *E, num_params]``.

    A feature map at the size of the image goes through a 1x1 convolution, one at half the size through a 4x4 stride-2
    transposed convolution, a vector through a dense layer. InputError for a map of another size.
    """

    event_shape: Sequence[int]
    num_params: int = 1

    @nn.compact
    def __call__(self, h: Array, lead: Sequence[int] | None = None) -> Array:
        lead = h.shape[:1] if lead is None else tuple(lead)
        chex.assert_axis_dimension(h, 0, math.prod(lead))
        event = tuple(self.event_shape)
        features = event[-1] * self.num_params
        is_map = h.ndim == 4 and len(event) == 3
        if is_map and h.shape[1:3] == event[:2]:
            out = Conv(features, kernel_size=1, dtype=h.dtype, wide=True, name="out")(h)
        elif is_map and h.shape[1:3] == halve_resolution(event[:2], 1):
            out = double_resolution(h, features, event[:2], wide=True, name="out")
        elif is_map:
            raise InputError(
                f"features of size {h.shape[1:3]}: must be {event[:2]} or half of it, for events {event}"
            )
        else:
            size = math.prod(event) * self.num_params
            out = Dense(size, dtype=h.dtype, wide=True, name="out")(h.reshape(h.shape[0], -1))
        return out.reshape(*lead, *event, self.num_params)
