"""Distributions of binary and categorical values."""

import jax
import jax.numpy as jnp

from vae_jax.distributions.base import Array, Distribution, distribution, static


@distribution
class Bernoulli(Distribution):
    """Bernoulli on logits; values in [0, 1], a normalised mass only for values in {0, 1}."""

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
