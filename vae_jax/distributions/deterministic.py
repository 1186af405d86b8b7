"""A point."""

import jax.numpy as jnp

from vae_jax.distributions.base import Array, Distribution, distribution, static


@distribution
class Deterministic(Distribution):
    """All mass on one point. It has no density: log q = +inf at the point, so the rate of a model with it is +inf."""

    mean: Array  # [*batch, *event]
    event_ndims: int = static(1)

    def sample(self, key: Array, shape: tuple[int, ...] = ()) -> Array:
        return jnp.broadcast_to(self.mean, (*shape, *self.mean.shape))

    def log_prob_terms(self, value: Array) -> Array:
        return jnp.where(value == self.mean, jnp.inf, -jnp.inf)

    def log_prob(self, value: Array) -> Array:
        total = super().log_prob(value)
        return jnp.where(
            jnp.isnan(total), -jnp.inf, total
        )  # inf - inf: one coordinate off the point is off it
