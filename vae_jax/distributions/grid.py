"""What distributions over the grid k / (levels - 1) in [0, 1] share, and those with several numbers for each dimension."""

import chex
import jax.numpy as jnp

from vae_jax.distributions.base import Array, Distribution, sum_event


def to_index(x: Array, levels: int) -> Array:
    """The nearest k of each x, 0 to levels - 1, as float32."""
    return jnp.clip(jnp.round(x * (levels - 1)), 0, levels - 1)


def to_grid(x: Array, levels: int) -> Array:
    """The nearest k / (levels - 1) of each x."""
    return to_index(x, levels) / (levels - 1)


class Stacked(Distribution):
    """One whose first field has an axis more, ``[*batch, *event, n]``: n numbers for each dimension."""

    @property
    def _span(self) -> tuple[int, ...]:
        return super()._span[:-1]

    def log_prob(self, value: Array) -> Array:
        chex.assert_equal(value.shape[value.ndim - self.event_ndims :], self.event_shape)
        return sum_event(self.log_prob_terms(value), self.event_ndims)
