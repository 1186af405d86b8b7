"""A distribution with its one batch axis laid out as several."""

import dataclasses
import math

import jax.numpy as jnp

from vae_jax.distributions.base import Distribution
from vae_jax.distributions.wrapped import Wrapped
from vae_jax.types import Array, pytree_dataclass, static


@pytree_dataclass
class BatchShaped(Wrapped):
    """A distribution over [N, *event] as one over [*batch, *event], N = prod(batch), rows in order.

    For likelihoods that know nothing of the number of draws: ``batch`` is (K, B).
    """

    base: Distribution
    batch: tuple[int, ...] = static()

    @property
    def batch_shape(self) -> tuple[int, ...]:
        return self.batch

    @property
    def mean(self) -> Array:
        return self.base.mean.reshape(*self.batch, *self.event_shape)

    @property
    def center(self) -> Array:
        return self.base.center.reshape(*self.batch, *self.event_shape)

    def sample(self, key: Array, shape: tuple[int, ...] = ()) -> Array:
        draws = self.base.sample(key, shape)
        return draws.reshape(*shape, *self.batch, *self.event_shape)

    def typical(self, key: Array) -> Array:
        return self.base.typical(key).reshape(*self.batch, *self.event_shape)

    def comparable(self, key: Array) -> Array:
        return self.base.comparable(key).reshape(*self.batch, *self.event_shape)

    def given_history(self, history: Array) -> "BatchShaped":
        return dataclasses.replace(self, base=self.base.given_history(self._in_rows(history)))

    def log_prob(self, value: Array) -> Array:
        return self._in_batch(self.base.log_prob(self._in_rows(value)), 0)

    def observed_log_prob(self, value: Array, observed: Array | None) -> Array:
        if observed is None:
            return self.log_prob(value)
        rows = self._in_rows(value), self._in_rows(observed)
        return self._in_batch(self.base.observed_log_prob(*rows), 0)

    def log_prob_terms(self, value: Array) -> Array:
        return self._in_batch(self.base.log_prob_terms(self._in_rows(value)), self.event_ndims)

    def scale_counts(self, log_factor: Array) -> "BatchShaped":
        return dataclasses.replace(self, base=self.base.scale_counts(log_factor.reshape(-1)))

    def _in_rows(self, value: Array) -> Array:
        """A value that broadcasts to [..., *batch, *event] as [..., N, *event]."""
        self._assert_event(value)
        full = jnp.broadcast_shapes(value.shape, (*self.batch, *self.event_shape))
        extra = full[: len(full) - len(self.batch) - self.event_ndims]
        rows = math.prod(self.batch)
        return jnp.broadcast_to(value, full).reshape(*extra, rows, *self.event_shape)

    def _in_batch(self, terms: Array, event_ndims: int) -> Array:
        """Terms [..., N, *event] as [..., *batch, *event]."""
        axis = terms.ndim - event_ndims - 1
        return terms.reshape(*terms.shape[:axis], *self.batch, *terms.shape[axis + 1 :])
