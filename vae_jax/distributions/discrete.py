"""Bernoulli and categorical distributions."""

from typing import ClassVar

import jax
import jax.numpy as jnp

from vae_jax.distributions.base import Distribution
from vae_jax.distributions.grid import Stacked
from vae_jax.types import Array, pytree_dataclass, static


@pytree_dataclass
class Bernoulli(Distribution):
    """Bernoulli on logits, for values in [0, 1]; a normalized mass only for values in {0, 1}.

    The log-mass is linear in the value from 0 to 1, and -inf elsewhere.
    """

    logits: Array  # [*batch, *event]
    event_ndims: int = static(1)

    @property
    def mean(self) -> Array:
        return jax.nn.sigmoid(self.logits)

    def sample(self, key: Array, shape: tuple[int, ...] = ()) -> Array:
        draws = jax.random.bernoulli(key, self.mean, (*shape, *self.logits.shape))
        return draws.astype(self.logits.dtype)

    def log_prob_terms(self, value: Array) -> Array:
        # x log sigmoid(l) + (1 - x) log sigmoid(-l) with one exp: exact for binary x, finite at any
        # logit. At l = 0 both selects use the same side; the subgradients of max and abs differ.
        logits = self.logits
        positive = logits >= 0
        magnitude = jnp.where(positive, logits, -logits)
        terms = value * logits - jnp.where(positive, logits, 0) - jnp.log1p(jnp.exp(-magnitude))
        return jnp.where((value >= 0) & (value <= 1), terms, -jnp.inf)


@pytree_dataclass
class Categorical(Stacked):
    """A code 0 .. n - 1 in each dimension, with probabilities softmax(logits).

    The codes have no order, and so no mean.
    """

    logits: Array  # [*batch, *event, n]
    event_ndims: int = static(1)
    has_mean: ClassVar[bool] = False

    @property
    def mean(self) -> Array:
        raise TypeError(
            "categorical codes have no mean; use their center (the likeliest codes) or samples"
        )

    @property
    def center(self) -> Array:
        """The most likely code of each dimension, [*batch, *event]."""
        return jnp.argmax(self.logits, axis=-1).astype(self.logits.dtype)

    def sample(self, key: Array, shape: tuple[int, ...] = ()) -> Array:
        codes = jax.random.categorical(key, self.logits, shape=(*shape, *self._span))
        return codes.astype(self.logits.dtype)

    def log_prob_terms(self, value: Array) -> Array:
        """Log p of the nearest code, ``[..., *event]``; -inf outside 0 .. n - 1."""
        code = jnp.round(value)
        valid = (code >= 0) & (code < self.logits.shape[-1])
        log_p = choose(self.logits, code) - jax.nn.logsumexp(self.logits, axis=-1)
        return jnp.where(valid, log_p, -jnp.inf)


@pytree_dataclass
class GridCategorical(Categorical):
    """Values k / (n - 1), k = 0 .. n - 1, with probabilities softmax(logits): any histogram."""

    has_mean: ClassVar[bool] = True

    @property
    def levels(self) -> int:
        return self.logits.shape[-1]

    @property
    def mean(self) -> Array:
        return jax.nn.softmax(self.logits) @ jnp.linspace(
            0, 1, self.levels, dtype=self.logits.dtype
        )

    @property
    def center(self) -> Array:
        return self.mean

    def sample(self, key: Array, shape: tuple[int, ...] = ()) -> Array:
        return super().sample(key, shape) / (self.levels - 1)

    def log_prob_terms(self, value: Array) -> Array:
        """Log p of the nearest grid value, ``[..., *event]``; -inf off the grid."""
        return super().log_prob_terms(value * (self.levels - 1))


def choose(numbers: Array, index: Array) -> Array:
    """Numbers ``[..., n]`` at index ``[...]`` of their last axis; the two broadcast."""
    # A select and a sum: the gradient of a gather is a scatter, which is slow.
    return jnp.where(index[..., None] == jnp.arange(numbers.shape[-1]), numbers, 0).sum(-1)
