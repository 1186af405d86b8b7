"""Distributions of binary and categorical values."""

from typing import ClassVar

import jax
import jax.numpy as jnp

from vae_jax.distributions.base import Array, Distribution, distribution, static
from vae_jax.distributions.grid import Stacked, to_index


@distribution
class Bernoulli(Distribution):
    """Bernoulli on logits; values in [0, 1], a normalized mass only for values in {0, 1}."""

    logits: Array  # [*batch, *event]
    event_ndims: int = static(1)

    @property
    def mean(self) -> Array:
        return jax.nn.sigmoid(self.logits)

    def sample(self, key: Array, shape: tuple[int, ...] = ()) -> Array:
        draws = jax.random.bernoulli(key, self.mean, (*shape, *self.logits.shape))
        return draws.astype(self.logits.dtype)

    def log_prob_terms(self, value: Array) -> Array:
        # x log sigmoid(l) + (1 - x) log sigmoid(-l) with one exp; exact for binary x, finite at any logit. Both selects take
        # the same side at l = 0, where max and abs would each have a subgradient of its own.
        logits, positive = self.logits, self.logits >= 0
        magnitude = jnp.where(positive, logits, -logits)
        return value * logits - jnp.where(positive, logits, 0) - jnp.log1p(jnp.exp(-magnitude))


@distribution
class Categorical(Stacked):
    """A code 0 .. n - 1 in each dimension, with the masses softmax(logits); the codes have no order, and so no mean."""

    logits: Array  # [*batch, *event, n]
    event_ndims: int = static(1)
    has_mean: ClassVar[bool] = False

    @property
    def mean(self) -> Array:
        raise TypeError(
            "categorical codes have no mean: draw from them, or take their center, the likeliest codes"
        )

    @property
    def center(self) -> Array:
        """The likeliest code of each dimension."""
        return jnp.argmax(self.logits, axis=-1).astype(self.logits.dtype)

    def sample(self, key: Array, shape: tuple[int, ...] = ()) -> Array:
        codes = jax.random.categorical(key, self.logits, shape=(*shape, *self._span))
        return codes.astype(self.logits.dtype)

    def log_prob_terms(self, value: Array) -> Array:
        """Log p of the nearest code, ``[..., *event]``; -inf where there is none."""
        code = jnp.round(value)
        known = (code >= 0) & (code < self.logits.shape[-1])
        return jnp.where(
            known, choose(self.logits, code) - jax.nn.logsumexp(self.logits, axis=-1), -jnp.inf
        )


@distribution
class GridCategorical(Categorical):
    """The values k / (n - 1), k = 0 .. n - 1, with the masses softmax(logits): any histogram on the grid."""

    has_mean: ClassVar[bool] = True

    @property
    def levels(self) -> int:
        return self.logits.shape[-1]

    @property
    def mean(self) -> Array:
        return jax.nn.softmax(self.logits) @ jnp.linspace(0, 1, self.levels)

    @property
    def center(self) -> Array:
        return self.mean

    def sample(self, key: Array, shape: tuple[int, ...] = ()) -> Array:
        return super().sample(key, shape) / (self.levels - 1)

    def log_prob_terms(self, value: Array) -> Array:
        """Log p of the nearest value of the grid, ``[..., *event]``."""
        return super().log_prob_terms(to_index(value, self.levels))


def choose(numbers: Array, index: Array) -> Array:
    """Numbers ``[..., n]`` at index ``[...]`` of their last axis; the two broadcast."""
    # A select and a sum: the gradient of a gather is a scatter, which is slow.
    return jnp.where(index[..., None] == jnp.arange(numbers.shape[-1]), numbers, 0).sum(-1)
