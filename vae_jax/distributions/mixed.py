"""Tables with columns of different kinds."""

import dataclasses
from collections.abc import Sequence
from typing import Self

import jax
import jax.numpy as jnp
import numpy as np

from vae_jax.distributions.base import Distribution
from vae_jax.types import Array, pytree_dataclass, static


@pytree_dataclass
class Mixed(Distribution):
    """p(x) = prod_i p_i(x_i) over the columns of a table, grouped by distribution."""

    parts: tuple[Distribution, ...]  # each over [*batch, its columns]
    # columns of each part; together 0 .. num_columns - 1, each once
    columns: tuple[tuple[int, ...], ...] = static()
    event_ndims = 1

    @property
    def event_shape(self) -> tuple[int, ...]:
        return (sum(map(len, self.columns)),)

    @property
    def batch_shape(self) -> tuple[int, ...]:
        return self.parts[0].batch_shape

    @property
    def mean(self) -> Array:
        """The mean of each column, [*batch, C]; for codes, the most likely code."""
        return self._in_place([part.center for part in self.parts])

    def sample(self, key: Array, shape: tuple[int, ...] = ()) -> Array:
        keys = jax.random.split(key, len(self.parts))
        return self._in_place(
            [part.sample(k, shape) for part, k in zip(self.parts, keys, strict=True)]
        )

    def log_prob_terms(self, value: Array) -> Array:
        self._assert_event(value)
        pairs = zip(self.parts, self.columns, strict=True)
        return self._in_place(
            [part.log_prob_terms(select(value, columns)) for part, columns in pairs]
        )

    def log_prob(self, value: Array) -> Array:
        return self.log_prob_terms(value).sum(-1)

    def scale_counts(self, log_factor: Array) -> "Mixed":
        parts = tuple(part.scale_counts(log_factor) for part in self.parts)
        return dataclasses.replace(self, parts=parts)

    def _flattened(self) -> Self:
        return self

    def _in_place(self, parts: list[Array]) -> Array:
        """Concatenate the columns of all parts in the order of the table."""
        order = np.argsort(np.concatenate(self.columns))
        return select(jnp.concatenate(parts, axis=-1), order)


def select(x: Array, columns: Sequence[int] | np.ndarray) -> Array:
    """The entries of x [..., C] in some columns; x itself, not a copy, for all in their order.

    A gradient through a copy of a thousand columns takes the compiler seconds.
    """
    is_all = np.array_equal(columns, np.arange(x.shape[-1]))
    return x if is_all else x[..., np.asarray(columns)]
