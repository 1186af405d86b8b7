"""Distributions of counts: beta-binomial (bounded) and negative binomial (unbounded)."""

import math

import jax
import jax.numpy as jnp
from jax.scipy.special import gammaln

from vae_jax.distributions.base import Distribution
from vae_jax.distributions.grid import on_grid, to_index
from vae_jax.types import Array, Scalar, pytree_dataclass, static

HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)
STIRLING_FROM = 8.0  # above it, four terms of the series reach float32 accuracy


@pytree_dataclass
class BetaBinomial(Distribution):
    """x = k / n with k ~ Binomial(n, p), p ~ Beta(alpha, beta) and n = levels - 1, in [0, 1].

    Values in between are scored as the nearest k / n; values that round to none score -inf.
    """

    log_alpha: Array  # [*batch, *event]
    log_beta: Array  # broadcasts to [*batch, *event]
    levels: int = static(256)
    event_ndims: int = static(1)

    @property
    def mean(self) -> Array:
        """The mean of the beta, alpha / (alpha + beta)."""
        return jax.nn.sigmoid(self.log_alpha - self.log_beta)

    def sample(self, key: Array, shape: tuple[int, ...] = ()) -> Array:
        p_key, k_key = jax.random.split(key)
        alpha, beta = jnp.broadcast_arrays(jnp.exp(self.log_alpha), jnp.exp(self.log_beta))
        p = jax.random.beta(p_key, alpha, beta, (*shape, *self.log_alpha.shape), alpha.dtype)
        k = jax.random.binomial(k_key, self.levels - 1, p, dtype=p.dtype)
        return k / (self.levels - 1)

    def log_prob_terms(self, value: Array) -> Array:
        # log C(n, k) + log B(k + alpha, n - k + beta) - log B(alpha, beta). Each of the nine gamma
        # functions is expanded by Stirling's formula, and the large terms are combined into logs of
        # ratios near one. With lgamma only three digits would remain.
        n = self.levels - 1
        k = to_index(value, self.levels)
        alpha, beta = jnp.exp(self.log_alpha), jnp.exp(self.log_beta)
        total = alpha + beta
        tilt = beta * k - alpha * (n - k)  # (k - mean) * (alpha + beta)
        ones = _side(alpha, k, total, n, tilt)
        zeros = _side(beta, n - k, total, n, -tilt)
        terms = ones + zeros + _rest(alpha, k) + _rest(beta, n - k) - _rest(total, n)
        return jnp.where(on_grid(value, self.levels), terms, -jnp.inf)


def _side(a: Array, k: Array, total: Array, n: int, tilt: Array) -> Array:
    """The large terms of one outcome: a log(w total / a) + k log(w (n + 1) / (k + 1)).

    Here w = (a + k) / (total + n).
    """
    prior = a * _log_ratio((a + k) * total, a * (total + n), tilt)
    return prior + k * jnp.log((a + k) * (n + 1) / ((total + n) * (k + 1)))


@pytree_dataclass
class NegativeBinomial(Distribution):
    """Counts with mean mu and variance mu + mu^2 / r, r the inverse dispersion: a gamma-Poisson.

    P(k) = C(k + r - 1, k) (r / (r + mu))^r (mu / (r + mu))^k for k = 0, 1, 2, ...
    """

    log_mean: Array  # [*batch, *event], of mu
    log_inverse_dispersion: Array  # broadcasts to [*batch, *event], of r
    event_ndims: int = static(1)

    @property
    def mean(self) -> Array:
        return jnp.exp(self.log_mean)

    def sample(self, key: Array, shape: tuple[int, ...] = ()) -> Array:
        """Exact up to a rate of 2^31, the limit of the Poisson sampler."""
        rate_key, k_key = jax.random.split(key)
        r = jnp.exp(self.log_inverse_dispersion)
        gamma = jax.random.gamma(rate_key, r, (*shape, *self.log_mean.shape), r.dtype)
        rate = jnp.exp(self.log_mean) * gamma / r
        return jax.random.poisson(k_key, rate, dtype=jnp.int32).astype(self.log_mean.dtype)

    def log_prob_terms(self, value: Array) -> Array:
        # Stirling's formula for the three gamma functions, as in the beta-binomial.
        inside = jnp.round(value) >= 0
        k = jnp.where(inside, jnp.round(value), 0)
        mu, r = jnp.exp(self.log_mean), jnp.exp(self.log_inverse_dispersion)
        prior = r * _log_ratio(k + r, mu + r, k - mu)
        likelihood = k * _log_ratio((k + r) * mu, (mu + r) * (k + 1), r * (mu - k) - mu - r)
        return jnp.where(inside, prior + likelihood + _rest(r, k), -jnp.inf)


def _rest(a: Array, k: Scalar) -> Array:
    """The small remainder of log(Gamma(a + k) / (Gamma(a) k!)).

    It excludes the large terms a log((a + k) / a) and k log((a + k) / (k + 1)).
    """
    logs = 1 - HALF_LOG_2PI - 0.5 * (jnp.log1p(k / a) + jnp.log1p(k))
    return logs + _stirling_error(a + k) - _stirling_error(a) - _stirling_error(k + 1.0)


def _stirling_error(y: Scalar) -> Array:
    """Return log Gamma(y) - ((y - 1/2) log y - y + log(2 pi) / 2)."""
    y, small = jnp.asarray(y, jnp.float32), jnp.asarray(y) < STIRLING_FROM
    s = jnp.where(small, y, 1.0)
    exact = gammaln(s) - (s - 0.5) * jnp.log(s) + s - HALF_LOG_2PI
    square = jnp.square(1 / jnp.where(small, STIRLING_FROM, y))
    series = (1 / 12 - square * (1 / 360 - square / 1260)) / jnp.where(small, STIRLING_FROM, y)
    return jnp.where(small, exact, series)


def _log_ratio(a: Array, b: Array, difference: Array) -> Array:
    """Return log(a / b) from a, b and a - b, which is more accurate when a and b are close."""
    close = jnp.abs(difference) < b / 2
    from_difference = jnp.log1p(jnp.where(close, difference / b, 0))
    return jnp.where(close, from_difference, jnp.log(jnp.where(close, 1, a / b)))
