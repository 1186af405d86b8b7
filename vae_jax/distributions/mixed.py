"""Columns of different kinds side by side, as in a table."""

import chex
import jax
import jax.numpy as jnp
import numpy as np

from vae_jax.distributions.base import Array, Distribution, distribution, static


@distribution
class Mixed(Distribution):
    """p(x) = prod_i p_i(x_i) over the columns of a table, in groups that each have a distribution of their own."""

    parts: tuple[Distribution, ...]  # each over [*batch, its columns]
    columns: tuple[tuple[int, ...], ...] = (
        static()
    )  # of each part; together 0 .. num_columns - 1, each once
    event_ndims = 1

    @property
    def event_shape(self) -> tuple[int, ...]:
        return (sum(map(len, self.columns)),)

    @property
    def batch_shape(self) -> tuple[int, ...]:
        return self.parts[0].batch_shape

    @property
    def mean(self) -> Array:
        """The mean of each column; of one of categorical codes, its likeliest code."""
        return self._in_place([part.center for part in self.parts])

    def sample(self, key: Array, shape: tuple[int, ...] = ()) -> Array:
        keys = jax.random.split(key, len(self.parts))
        return self._in_place(
            [part.sample(k, shape) for part, k in zip(self.parts, keys, strict=True)]
        )

    def log_prob_terms(self, value: Array) -> Array:
        chex.assert_equal(value.shape[-1:], self.event_shape)
        pairs = zip(self.parts, self.columns, strict=True)
        return self._in_place(
            [part.log_prob_terms(value[..., np.array(columns)]) for part, columns in pairs]
        )

    def log_prob(self, value: Array) -> Array:
        return self.log_prob_terms(value).sum(-1)

    def _in_place(self, parts: list[Array]) -> Array:
        """The columns of all parts, in the order of the table."""
        order = np.argsort(np.concatenate(self.columns))
        return jnp.concatenate(parts, axis=-1)[..., order]
