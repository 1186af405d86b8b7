"""Distributions as small pytrees, and the closed-form Kullback-Leibler divergences between them.

Per-dimension terms keep every axis; `log_prob` sums the `event_ndims` last ones and nothing else. Everything is in nats,
with all constants. A distribution over ``[*batch, *event]`` draws ``[*shape, *batch, *event]`` from ``sample(key, shape)``.
"""

import dataclasses
import math
from collections.abc import Callable
from typing import Any, TypeAlias

import chex
import jax
import jax.numpy as jnp

Array: TypeAlias = jax.Array
LOG_2PI = math.log(2 * math.pi)
LOGVAR_RANGE = (-14.0, 8.0)  # of a scale that is learned: standard deviations from 9e-4 to 55


def soft_clip(x: Array, low: float, high: float) -> Array:
    """A smooth, monotone map of the reals into (low, high) that is close to the identity well inside it."""
    x = low + jax.nn.softplus(x - low)
    return high - (high - low) / jax.nn.softplus(high - low) * jax.nn.softplus(high - x)


def inverse_soft_clip(y: Array | float, low: float, high: float) -> Array:
    """The x that `soft_clip` maps to y, inside (low, high)."""
    inner = high - jnp.log(jnp.expm1((high - y) / (high - low) * math.log1p(math.exp(high - low))))
    return low + jnp.log(jnp.expm1(inner - low))


def sum_event(terms: Array, event_ndims: int) -> Array:
    """Sums the last `event_ndims` axes."""
    return terms.sum(axis=tuple(range(terms.ndim - event_ndims, terms.ndim)))


def _one_axis(x: Array, event_shape: tuple[int, ...]) -> Array:
    """``[..., *event]``, or what broadcasts to it, as ``[..., prod(event)]``."""
    x = jnp.broadcast_to(x, jnp.broadcast_shapes(x.shape, event_shape))
    return x.reshape(*x.shape[: x.ndim - len(event_shape)], -1)


def _static(default: Any) -> Any:
    return dataclasses.field(default=default, metadata={"static": True})


class Distribution:
    """What every distribution offers; a subclass gives `sample`, `log_prob_terms` and `mean`."""

    event_ndims: int

    @property
    def event_shape(self) -> tuple[int, ...]:
        """*event, read off the first field, which spans it in every family."""
        first = getattr(self, dataclasses.fields(self)[0].name)
        return first.shape[first.ndim - self.event_ndims :]

    def sample(self, key: Array, shape: tuple[int, ...] = ()) -> Array:
        """Draws ``[*shape, *batch, *event]``, differentiable in the parameters where the family allows it."""
        raise TypeError(f"{type(self).__name__} cannot be sampled")

    def log_prob_terms(self, value: Array) -> Array:
        """Log p of each dimension on its own, ``[..., *event]``."""
        raise TypeError(f"{type(self).__name__} has no per-dimension density")

    def log_prob(self, value: Array) -> Array:
        """The log-density of a value, summed over the event; the event shape of the value must be that of the distribution."""
        event_shape = self.event_shape
        chex.assert_equal(value.shape[value.ndim - self.event_ndims :], event_shape)
        # On one axis: with a last axis of one channel, XLA's loops on the CPU are not vectorised and take half as long again.
        parameters = {
            field.name: getattr(self, field.name) for field in dataclasses.fields(self) if field.name != "event_ndims"
        }
        flat = {name: _one_axis(parameter, event_shape) for name, parameter in parameters.items()}
        return type(self)(**flat, event_ndims=1).log_prob_terms(_one_axis(value, event_shape)).sum(-1)

    def sample_and_log_prob(self, key: Array, shape: tuple[int, ...] = ()) -> tuple[Array, Array]:
        """A draw and its log-density."""
        value = self.sample(key, shape)
        return value, self.log_prob(value)


def distribution(cls: type) -> type:
    """Makes a class of fields into a frozen dataclass and a pytree."""
    return jax.tree_util.register_dataclass(dataclasses.dataclass(frozen=True)(cls))


@distribution
class DiagGaussian(Distribution):
    """N(mean, diag(exp(logvar))); `logvar` broadcasts against `mean`."""

    mean: Array  # [*batch, *event]
    logvar: Array  # broadcasts to [*batch, *event]
    event_ndims: int = _static(1)

    @property
    def stddev(self) -> Array:
        return jnp.exp(self.logvar / 2)

    def sample(self, key: Array, shape: tuple[int, ...] = ()) -> Array:
        eps = jax.random.normal(key, (*shape, *self.mean.shape), self.mean.dtype)
        return self.mean + self.stddev * eps

    def log_prob_terms(self, value: Array) -> Array:
        return -0.5 * (LOG_2PI + self.logvar + jnp.square(value - self.mean) * jnp.exp(-self.logvar))


@distribution
class OptimalGaussian(Distribution):
    """N(mean, sigma^2) with the one sigma that makes the values it scores most likely.

    sigma^2 is the mean squared residual over *all* axes of the value scored (samples, batch and event), as in
    sigma-VAE (Rybkin et al., 2021, arXiv:2006.13202); the gradient through it vanishes at the optimum and is not taken.
    One number fitted to n residuals makes the sum of log-likelihoods too high by half a nat in all, so per example by
    1 / (2 B), and an example's own number depends on the others of its batch: evaluation settles on one sigma first
    (`vae_jax.evaluation.sigma`). There is no scale before there are data, so it cannot be sampled: use `mean`, or learn sigma.
    """

    mean: Array  # [*batch, *event]
    event_ndims: int = _static(1)

    def log_prob_terms(self, value: Array) -> Array:
        squared = jnp.square(value - self.mean)
        variance = jax.lax.stop_gradient(jnp.mean(squared))
        variance = jnp.maximum(variance, jnp.finfo(squared.dtype).tiny)
        return -0.5 * (LOG_2PI + jnp.log(variance) + squared / variance)

    def sample(self, key: Array, shape: tuple[int, ...] = ()) -> Array:
        raise TypeError("an optimal-sigma Gaussian has no scale before it has seen data: use its mean, or learn sigma")


@distribution
class Bernoulli(Distribution):
    """Bernoulli on logits; values in [0, 1], a normalised mass only for values in {0, 1}."""

    logits: Array  # [*batch, *event]
    event_ndims: int = _static(1)

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
class Deterministic(Distribution):
    """All mass on one point. It has no density: log q = +inf at the point, so the rate of a model with it is +inf."""

    mean: Array  # [*batch, *event]
    event_ndims: int = _static(1)

    def sample(self, key: Array, shape: tuple[int, ...] = ()) -> Array:
        return jnp.broadcast_to(self.mean, (*shape, *self.mean.shape))

    def log_prob_terms(self, value: Array) -> Array:
        return jnp.where(value == self.mean, jnp.inf, -jnp.inf)

    def log_prob(self, value: Array) -> Array:
        total = super().log_prob(value)
        return jnp.where(jnp.isnan(total), -jnp.inf, total)  # inf - inf: one coordinate off the point is off it


_KL: dict[tuple[type, type], Callable[[Any, Any], Array]] = {}


def closed_form_kl(q_type: type, p_type: type) -> Callable[[Callable], Callable]:
    """Registers a function ``(q, p) -> per-dimension KL terms`` for a pair of classes."""

    def register(kl_fn: Callable) -> Callable:
        _KL[q_type, p_type] = kl_fn
        return kl_fn

    return register


def has_closed_form_kl(q: Distribution, p: Distribution) -> bool:
    """Whether `kl_divergence(q, p)` exists in closed form."""
    return (type(q), type(p)) in _KL


def kl_terms(q: Distribution, p: Distribution) -> Array:
    """KL(q || p) per dimension, ``[*batch, *event]``; TypeError where there is no closed form."""
    if not has_closed_form_kl(q, p):
        pairs = ", ".join(f"({a.__name__}, {b.__name__})" for a, b in _KL)
        raise TypeError(
            f"no closed form for KL({type(q).__name__} || {type(p).__name__}); there is one for {pairs}. "
            "Use the Monte Carlo rate, mean of log_qz_x - log_pz."
        )
    chex.assert_equal(q.event_shape, p.event_shape)
    return _KL[type(q), type(p)](q, p)


def kl_divergence(q: Distribution, p: Distribution) -> Array:
    """KL(q || p), ``[*batch]``; TypeError where there is no closed form."""
    return sum_event(kl_terms(q, p), q.event_ndims)


@closed_form_kl(DiagGaussian, DiagGaussian)
def _kl_diag_gaussians(q: DiagGaussian, p: DiagGaussian) -> Array:
    # (log p.var - log q.var + (q.var + (q.mean - p.mean)^2) / p.var - 1) / 2, with expm1 against cancellation at q = p
    difference = q.logvar - p.logvar
    squared = jnp.square(q.mean - p.mean) * jnp.exp(-p.logvar)
    return 0.5 * (squared + jnp.expm1(difference) - difference)


@closed_form_kl(Bernoulli, Bernoulli)
def _kl_bernoullis(q: Bernoulli, p: Bernoulli) -> Array:
    log_ratio_1 = jax.nn.log_sigmoid(q.logits) - jax.nn.log_sigmoid(p.logits)
    log_ratio_0 = jax.nn.log_sigmoid(-q.logits) - jax.nn.log_sigmoid(-p.logits)
    return q.mean * log_ratio_1 + jax.nn.sigmoid(-q.logits) * log_ratio_0


@closed_form_kl(Deterministic, DiagGaussian)
def _kl_point_mass(q: Deterministic, p: DiagGaussian) -> Array:
    # A point mass is singular with respect to any density.
    return jnp.full(jnp.broadcast_shapes(q.mean.shape, p.mean.shape), jnp.inf)


def monte_carlo_kl(key: Array, q: Distribution, p: Distribution, num_samples: int) -> tuple[Array, Array]:
    """Estimates KL(q || p) by the mean of log q - log p over draws of q; returns it with its standard error, ``[*batch]``."""
    chex.assert_scalar_positive(num_samples)
    value, log_q = q.sample_and_log_prob(key, (num_samples,))
    ratio = log_q - p.log_prob(value)
    return ratio.mean(0), ratio.std(0, ddof=1) / math.sqrt(num_samples)
