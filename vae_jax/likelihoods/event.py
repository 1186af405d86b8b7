"""The last linear map of likelihood heads, and bounded parameters."""

import math
from collections.abc import Sequence

import chex
import jax.numpy as jnp
from flax import linen as nn

from vae_jax.distributions import inverse_soft_clip, soft_clip
from vae_jax.errors import InputError
from vae_jax.nets.conv import double_resolution, halve_resolution
from vae_jax.nets.convolution import Conv
from vae_jax.nets.dense import Dense
from vae_jax.types import Array


def bounded_param(
    head: nn.Module, name: str, shape: Sequence[int], init: Array, bounds: tuple[float, float]
) -> Array:
    """A parameter of the head in the given shape, kept inside the bounds, from the value `init`."""
    init_fn = nn.initializers.constant(inverse_soft_clip(init, *bounds))
    return soft_clip(head.param(name, init_fn, tuple(shape), jnp.float32), *bounds)


class FeatureSizeError(InputError):
    """A feature map that fits no layer from it to the event."""


class EventLayer(nn.Module):
    """Features to `num_params` numbers per dimension: ``[N, ...] -> [*lead, *E, num_params]``.

    A feature map of the image size passes a 1x1 convolution, one of half the size a 4x4 stride-2
    transposed convolution, a vector a dense layer. Raises FeatureSizeError for a map of another
    size.
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
            raise FeatureSizeError(
                f"features of size {h.shape[1:3]}: must be {event[:2]} "
                f"or half of it for events {event}"
            )
        else:
            size = math.prod(event) * self.num_params
            out = Dense(size, dtype=h.dtype, wide=True, name="out")(h.reshape(h.shape[0], -1))
        return out.reshape(*lead, *event, self.num_params)
