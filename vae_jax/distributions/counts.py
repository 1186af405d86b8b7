"""Distributions of counts: beta-binomial (bounded), Poisson and negative binomial (unbounded)."""

import dataclasses

import jax
import jax.numpy as jnp

from vae_jax.distributions.base import Distribution, expand_event
from vae_jax.distributions.grid import on_grid, to_index
from vae_jax.distributions.stirling import (
    CLOSE,
    HALF_LOG_2PI,
    log1p_rest,
    log_ratio,
    stirling_error,
)
from vae_jax.types import Array, Scalar, pytree_dataclass, static

LEAST_RATE = 1e-30  # below it, ratios of rates to counts leave float32


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
        """The mean of the beta, alpha / (alpha + beta), [*batch, *event]."""
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
    prior = a * log_ratio((a + k) * total, a * (total + n), tilt)
    return prior + k * jnp.log((a + k) * (n + 1) / ((total + n) * (k + 1)))


@pytree_dataclass
class Poisson(Distribution):
    """Counts with mean and variance lambda: P(k) = lambda^k exp(-lambda) / k!, k = 0, 1, 2, ..."""

    log_rate: Array  # [*batch, *event], of lambda
    event_ndims: int = static(1)

    @property
    def mean(self) -> Array:
        return jnp.exp(self.log_rate)

    def sample(self, key: Array, shape: tuple[int, ...] = ()) -> Array:
        """Samples ``[*shape, *batch, *event]``, exact up to a rate of 2^31, the sampler's limit."""
        rate = jnp.broadcast_to(self.mean, (*shape, *self.log_rate.shape))
        return jax.random.poisson(key, rate, dtype=jnp.int32).astype(self.log_rate.dtype)

    def scale_counts(self, log_factor: Array) -> "Poisson":
        log_rate = self.log_rate + expand_event(log_factor, self.event_ndims)
        return dataclasses.replace(self, log_rate=log_rate)

    def log_prob_terms(self, value: Array) -> Array:
        # By Stirling's formula it is k (log(1 + d) - d) - log(2 pi k) / 2 - stirling_error(k),
        # with d = lambda / k - 1.
        inside = jnp.round(value) >= 0
        count = jnp.where(inside, jnp.round(value), 0)
        rate, k = jnp.exp(self.log_rate), jnp.maximum(count, 1)
        d = (rate - k) / k
        close = jnp.abs(d) < CLOSE
        is_normal = rate > LEAST_RATE
        log_rate_ratio = jnp.where(
            is_normal,
            log_ratio(jnp.where(is_normal, rate, 1), k, rate - k),
            self.log_rate - jnp.log(k),
        )
        large = k * jnp.where(close, log1p_rest(jnp.where(close, d, 0)), log_rate_ratio - d)
        positive = large - HALF_LOG_2PI - 0.5 * jnp.log(k) - stirling_error(k)
        return jnp.where(inside, jnp.where(count == 0, -rate, positive), -jnp.inf)


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
        """Samples ``[*shape, *batch, *event]``, exact up to a Poisson rate of 2^31."""
        rate_key, k_key = jax.random.split(key)
        r = jnp.exp(self.log_inverse_dispersion)
        gamma = jax.random.gamma(rate_key, r, (*shape, *self.log_mean.shape), r.dtype)
        rate = jnp.exp(self.log_mean) * gamma / r
        return jax.random.poisson(k_key, rate, dtype=jnp.int32).astype(self.log_mean.dtype)

    def scale_counts(self, log_factor: Array) -> "NegativeBinomial":
        log_mean = self.log_mean + expand_event(log_factor, self.event_ndims)
        return dataclasses.replace(self, log_mean=log_mean)

    def log_prob_terms(self, value: Array) -> Array:
        # Stirling's formula for the three gamma functions, as in the beta-binomial.
        inside = jnp.round(value) >= 0
        k = jnp.where(inside, jnp.round(value), 0)
        mu, r = jnp.exp(self.log_mean), jnp.exp(self.log_inverse_dispersion)
        prior = r * log_ratio(k + r, mu + r, k - mu)
        likelihood = k * log_ratio((k + r) * mu, (mu + r) * (k + 1), r * (mu - k) - mu - r)
        return jnp.where(inside, prior + likelihood + _rest(r, k), -jnp.inf)


@pytree_dataclass
class ZeroInflatedNegativeBinomial(Distribution):
    """Zero with probability g, else a count of a negative binomial: zeros beyond its own.

        P(0) = g + (1 - g) NB(0),  P(k) = (1 - g) NB(k) for k = 1, 2, ...,  g = sigmoid(gate)

    The mean of x is (1 - g) mu, with mu the mean of the negative binomial.
    """

    log_mean: Array  # [*batch, *event], of mu
    log_inverse_dispersion: Array  # broadcasts to [*batch, *event]
    gate: Array  # broadcasts to [*batch, *event], logits
    event_ndims: int = static(1)

    @property
    def counts(self) -> NegativeBinomial:
        """The distribution of counts without added zeros."""
        return NegativeBinomial(self.log_mean, self.log_inverse_dispersion, self.event_ndims)

    @property
    def mean(self) -> Array:
        return jnp.exp(self.log_mean + jax.nn.log_sigmoid(-self.gate))

    def sample(self, key: Array, shape: tuple[int, ...] = ()) -> Array:
        gate_key, count_key = jax.random.split(key)
        counts = self.counts.sample(count_key, shape)
        is_added = jax.random.bernoulli(gate_key, jax.nn.sigmoid(self.gate), counts.shape)
        return jnp.where(is_added, 0, counts)

    def scale_counts(self, log_factor: Array) -> "ZeroInflatedNegativeBinomial":
        log_mean = self.log_mean + expand_event(log_factor, self.event_ndims)
        return dataclasses.replace(self, log_mean=log_mean)

    def log_prob_terms(self, value: Array) -> Array:
        k = jnp.round(value)
        inside = k >= 0
        counted = jax.nn.log_sigmoid(-self.gate) + self.counts.log_prob_terms(
            jnp.where(inside, k, 0)
        )
        at_zero = jnp.logaddexp(jax.nn.log_sigmoid(self.gate), counted)
        return jnp.where(inside, jnp.where(k == 0, at_zero, counted), -jnp.inf)


def _rest(a: Array, k: Scalar) -> Array:
    """The small remainder of log(Gamma(a + k) / (Gamma(a) k!)).

    It excludes the large terms a log((a + k) / a) and k log((a + k) / (k + 1)).
    """
    logs = 1 - HALF_LOG_2PI - 0.5 * (jnp.log1p(k / a) + jnp.log1p(k))
    return logs + stirling_error(a + k) - stirling_error(a) - stirling_error(k + 1.0)
