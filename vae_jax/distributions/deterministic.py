"""Point masses."""

import jax.numpy as jnp

from vae_jax.distributions.base import Distribution
from vae_jax.types import Array, pytree_dataclass, static


@pytree_dataclass
class Deterministic(Distribution):
    """A point mass, without a density.

    log q = +inf at the point, so the rate of a model with this posterior is +inf.
    """

    mean: Array  # [*batch, *event]
    event_ndims: int = static(1)

    def sample(self, key: Array, shape: tuple[int, ...] = ()) -> Array:
        return jnp.broadcast_to(self.mean, (*shape, *self.mean.shape))

    def log_prob_terms(self, value: Array) -> Array:
        return jnp.where(value == self.mean, jnp.inf, -jnp.inf)

    def log_prob(self, value: Array) -> Array:
        total = super().log_prob(value)
        # NaN is inf - inf: some coordinate is off the point.
        return jnp.where(jnp.isnan(total), -jnp.inf, total)
