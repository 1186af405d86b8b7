"""Distributions of counts: the beta-binomial up to a largest one, the negative binomial without."""

import math

import jax
import jax.numpy as jnp
from jax.scipy.special import gammaln

from vae_jax.distributions.base import Array, Distribution, distribution, static
from vae_jax.distributions.grid import to_index

HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)
STIRLING_FROM = 8.0  # on, four terms of the series are as good as float32


@distribution
class BetaBinomial(Distribution):
    """x = k / n with k ~ Binomial(n, p), p ~ Beta(alpha, beta) and n = levels - 1, on the grid in [0, 1]."""

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
        p = jax.random.beta(p_key, alpha, beta, (*shape, *self.log_alpha.shape))
        return jax.random.binomial(k_key, self.levels - 1, p) / (self.levels - 1)

    def log_prob_terms(self, value: Array) -> Array:
        # log C(n, k) + log B(k + alpha, n - k + beta) - log B(alpha, beta), with Stirling's formula for each of the nine
        # gamma functions and its large terms gathered into logs of ratios near one: lgamma itself would leave three digits.
        n, k = self.levels - 1, to_index(value, self.levels)
        alpha, beta = jnp.exp(self.log_alpha), jnp.exp(self.log_beta)
        total = alpha + beta
        tilt = beta * k - alpha * (n - k)  # what k is above its mean, times alpha + beta
        ones = _side(alpha, k, total, n, tilt)
        zeros = _side(beta, n - k, total, n, -tilt)
        return ones + zeros + _rest(alpha, k) + _rest(beta, n - k) - _rest(total, n)


def _side(a: Array, k: Array, total: Array, n: int, tilt: Array) -> Array:
    """One outcome's large terms, a log(w total / a) + k log(w (n + 1) / (k + 1)) with w = (a + k) / (total + n)."""
    prior = a * _log_ratio((a + k) * total, a * (total + n), tilt)
    return prior + k * jnp.log((a + k) * (n + 1) / ((total + n) * (k + 1)))


@distribution
class NegativeBinomial(Distribution):
    """Counts 0, 1, 2, ... with mean mu and variance mu + mu^2 / r, r the inverse dispersion: a Poisson mixed by a gamma.

    P(k) = C(k + r - 1, k) (r / (r + mu))^r (mu / (r + mu))^k.
    """

    log_mean: Array  # [*batch, *event], of mu
    log_inverse_dispersion: Array  # broadcasts to [*batch, *event], of r
    event_ndims: int = static(1)

    @property
    def mean(self) -> Array:
        return jnp.exp(self.log_mean)

    def sample(self, key: Array, shape: tuple[int, ...] = ()) -> Array:
        """Exact up to a rate of 2^31, where the draws end."""
        rate_key, k_key = jax.random.split(key)
        r = jnp.exp(self.log_inverse_dispersion)
        rate = (
            jnp.exp(self.log_mean)
            * jax.random.gamma(rate_key, r, (*shape, *self.log_mean.shape))
            / r
        )
        return jax.random.poisson(k_key, rate).astype(self.log_mean.dtype)

    def log_prob_terms(self, value: Array) -> Array:
        # With Stirling's formula for the three gamma functions, and the large terms gathered as for the beta-binomial.
        k, mu, r = jnp.round(value), jnp.exp(self.log_mean), jnp.exp(self.log_inverse_dispersion)
        prior = r * _log_ratio(k + r, mu + r, k - mu)
        return (
            prior
            + k * _log_ratio((k + r) * mu, (mu + r) * (k + 1), r * (mu - k) - mu - r)
            + _rest(r, k)
        )


def _rest(a: Array, k: Array) -> Array:
    """log(Gamma(a + k) / (Gamma(a) k!)) less a log((a + k) / a) and k log((a + k) / (k + 1)): what is small of it."""
    logs = 1 - HALF_LOG_2PI - 0.5 * (jnp.log1p(k / a) + jnp.log1p(k))
    return logs + _stirling_error(a + k) - _stirling_error(a) - _stirling_error(k + 1.0)


def _stirling_error(y: Array) -> Array:
    """The log of Gamma(y) less ((y - 1/2) log y - y + log(2 pi) / 2)."""
    y, small = jnp.asarray(y, jnp.float32), jnp.asarray(y) < STIRLING_FROM
    s = jnp.where(small, y, 1.0)
    exact = gammaln(s) - (s - 0.5) * jnp.log(s) + s - HALF_LOG_2PI
    square = jnp.square(1 / jnp.where(small, STIRLING_FROM, y))
    series = (1 / 12 - square * (1 / 360 - square / 1260)) / jnp.where(small, STIRLING_FROM, y)
    return jnp.where(small, exact, series)


def _log_ratio(a: Array, b: Array, difference: Array) -> Array:
    """log(a / b) from both and a - b, which says more than they do where they are close."""
    close = jnp.abs(difference) < b / 2
    return jnp.where(
        close, jnp.log1p(jnp.where(close, difference / b, 0)), jnp.log(jnp.where(close, 1, a / b))
    )
