"""Helpers for distributions on the grid k / (levels - 1) in [0, 1]."""

from typing import Self

import jax.numpy as jnp

from vae_jax.distributions.base import Distribution, sum_event
from vae_jax.types import Array


def to_index(x: Array, levels: int) -> Array:
    """The nearest index k of each x, 0 .. levels - 1, as float32 of the shape of x."""
    return jnp.clip(jnp.round(x * (levels - 1)), 0, levels - 1)


def on_grid(x: Array, levels: int) -> Array:
    """True for each x that rounds to one of the grid values, in the shape of x."""
    index = jnp.round(x * (levels - 1))
    return (index >= 0) & (index <= levels - 1)


def to_grid(x: Array, levels: int) -> Array:
    """The nearest grid value k / (levels - 1) of each x, in the shape of x."""
    return to_index(x, levels) / (levels - 1)


class Stacked(Distribution):
    """A distribution whose first field is ``[*batch, *event, n]``: n numbers per dimension."""

    @property
    def _span(self) -> tuple[int, ...]:
        return super()._span[:-1]

    def log_prob(self, value: Array) -> Array:
        self._assert_event(value)
        return sum_event(self.log_prob_terms(value), self.event_ndims)

    def _flattened(self) -> Self:
        return self
