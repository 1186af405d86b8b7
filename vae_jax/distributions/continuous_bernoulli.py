"""The continuous Bernoulli: a density on [0, 1] proportional to a Bernoulli mass."""

import jax
import jax.numpy as jnp

from vae_jax.distributions.base import Distribution
from vae_jax.types import Array, pytree_dataclass, static

NEAR_ZERO = 0.5  # use series below it: the quotients tend to 0 / 0


@pytree_dataclass
class ContinuousBernoulli(Distribution):
    """p(x) = exp(l x) l / (exp(l) - 1) on [0, 1], with logits l.

    Loaiza-Ganem and Cunningham, 2019, arXiv:1907.06845. With lambda = sigmoid(l) this is C(lambda)
    lambda^x (1 - lambda)^(1 - x); at l = 0 it is uniform.
    """

    logits: Array  # [*batch, *event]
    event_ndims: int = static(1)

    @property
    def _sign_and_magnitude(self) -> tuple[Array, Array]:
        """The mask l >= 0, and |l|; x -> 1 - x flips the sign of l."""
        positive = self.logits >= 0
        return positive, jnp.where(positive, self.logits, -self.logits)

    @property
    def mean(self) -> Array:
        """1 / (1 - exp(-l)) - 1 / l, [*batch, *event]."""
        positive, a = self._sign_and_magnitude
        near, s, safe = _split(a, NEAR_ZERO)
        series = 0.5 - s / 12 + s**3 / 720 - s**5 / 30240
        low = jnp.where(near, series, 1 / safe + jnp.exp(-safe) / jnp.expm1(-safe))
        return jnp.where(positive, 1 - low, low)

    def sample(self, key: Array, shape: tuple[int, ...] = ()) -> Array:
        """Samples ``[*shape, *batch, *event]`` by the inverse CDF; differentiable in l.

        F(x) = (exp(l x) - 1) / (exp(l) - 1).
        """
        u = jax.random.uniform(key, (*shape, *self.logits.shape), self.logits.dtype)
        positive, a = self._sign_and_magnitude
        near, s, safe = _split(a, 0.1 * NEAR_ZERO)
        variance = u * (1 - u)
        series = u - variance * s * (
            0.5 - (1 - 2 * u) * s / 6 + (1 - 6 * variance) * jnp.square(s) / 24
        )
        low = jnp.clip(jnp.where(near, series, -jnp.log1p(u * jnp.expm1(-safe)) / safe), 0, 1)
        return jnp.where(positive, 1 - low, low)

    def log_prob_terms(self, value: Array) -> Array:
        # log int_0^1 exp(l x) dx = max(l, 0) + log((1 - exp(-|l|)) / |l|)
        positive, a = self._sign_and_magnitude
        near, s, safe = _split(a, NEAR_ZERO)
        series = -s / 2 + s**2 / 24 - s**4 / 2880
        constant = jnp.where(near, series, jnp.log(-jnp.expm1(-safe)) - jnp.log(safe))
        terms = value * self.logits - jnp.where(positive, self.logits, 0) - constant
        return jnp.where((value >= 0) & (value <= 1), terms, -jnp.inf)


def _split(a: Array, threshold: float) -> tuple[Array, Array, Array]:
    """The mask a < threshold; a if below, for a series; a if not, for a quotient."""
    near = a < threshold
    return near, jnp.where(near, a, 0), jnp.where(near, 1, a)
