"""Kullback-Leibler divergences in nats: in closed form if available, else by Monte Carlo."""

import math
from collections.abc import Callable
from typing import Any

import chex
import jax
import jax.numpy as jnp

from vae_jax.distributions.base import Distribution, allow_broadcasting, sum_event
from vae_jax.distributions.categorical import OneHotCategorical
from vae_jax.distributions.deterministic import Deterministic
from vae_jax.distributions.discrete import Bernoulli
from vae_jax.distributions.full_gaussian import FullGaussian
from vae_jax.distributions.gaussian import DiagGaussian
from vae_jax.types import Array

Pair = tuple[type, type]
_TERMS: dict[Pair, Callable[[Any, Any], Array]] = {}  # terms per dimension, [*batch, *event]
_TOTALS: dict[Pair, Callable[[Any, Any], Array]] = {}  # [*batch], for coupled dimensions


def closed_form_kl(
    q_type: type, p_type: type, *, total: bool = False
) -> Callable[[Callable], Callable]:
    """Register a function ``(q, p) -> KL`` for a pair of classes.

    It returns per-dimension terms ``[*batch, *event]``, or ``[*batch]`` with `total`.
    """

    def register(kl_fn: Callable) -> Callable:
        (_TOTALS if total else _TERMS)[q_type, p_type] = allow_broadcasting(kl_fn)
        return kl_fn

    return register


def has_closed_form_kl(q: Distribution, p: Distribution) -> bool:
    """True if `kl_divergence(q, p)` has a closed form."""
    return has_kl_terms(q, p) or (type(q), type(p)) in _TOTALS


def has_kl_terms(q: Distribution, p: Distribution) -> bool:
    """True if `kl_terms(q, p)` has a closed form for each dimension."""
    return (type(q), type(p)) in _TERMS


def kl_terms(q: Distribution, p: Distribution) -> Array:
    """KL(q || p) per dimension, nats, ``[*batch, *event]``; TypeError without a closed form."""
    if not has_kl_terms(q, p):
        raise _no_closed_form(q, p, _TERMS, "for each dimension of ")
    chex.assert_equal(q.event_shape, p.event_shape)
    return _TERMS[type(q), type(p)](q, p)


def kl_divergence(q: Distribution, p: Distribution) -> Array:
    """KL(q || p) in nats, ``[*batch]``; raises TypeError without a closed form."""
    if has_kl_terms(q, p):
        return sum_event(kl_terms(q, p), q.event_ndims)
    if not has_closed_form_kl(q, p):
        raise _no_closed_form(q, p, _TERMS | _TOTALS, "for ")
    chex.assert_equal(q.event_shape, p.event_shape)
    return _TOTALS[type(q), type(p)](q, p)


def _no_closed_form(
    q: Distribution, p: Distribution, table: dict[Pair, Any], what: str
) -> TypeError:
    pairs = ", ".join(f"({a.__name__}, {b.__name__})" for a, b in table)
    return TypeError(
        f"no closed form {what}KL({type(q).__name__} || {type(p).__name__}); available: {pairs}. "
        "Use the Monte Carlo rate, mean of log_qz_x - log_pz."
    )


@closed_form_kl(DiagGaussian, DiagGaussian)
def _kl_diag_gaussians(q: DiagGaussian, p: DiagGaussian) -> Array:
    # (log p.var - log q.var + (q.var + (q.mean - p.mean)^2) / p.var - 1) / 2;
    # expm1 avoids cancellation near q = p.
    difference = q.logvar - p.logvar
    squared = jnp.square(q.mean - p.mean) * jnp.exp(-p.logvar)
    return 0.5 * (squared + jnp.expm1(difference) - difference)


@closed_form_kl(FullGaussian, DiagGaussian, total=True)
def _kl_full_from_diag_gaussian(q: FullGaussian, p: DiagGaussian) -> Array:
    # The KL of independent dimensions with scales diag(L), plus the part of L below the diagonal.
    diagonal = jnp.diagonal(q.scale_tril, axis1=-2, axis2=-1)
    below = jnp.square(jnp.tril(q.scale_tril, -1)).sum(-1) * jnp.exp(-p.logvar)
    terms = _kl_diag_gaussians(DiagGaussian(q.mean, 2 * jnp.log(diagonal)), p)
    return (terms + 0.5 * below).sum(-1)


@closed_form_kl(OneHotCategorical, OneHotCategorical)
def _kl_categoricals(q: OneHotCategorical, p: OneHotCategorical) -> Array:
    # Per variable, [..., N]. A class without mass under q contributes 0.
    log_q = q.log_probs
    probs = jnp.exp(log_q)
    return jnp.where(probs > 0, probs * (log_q - p.log_probs), 0.0).sum(-1)


@closed_form_kl(Bernoulli, Bernoulli)
def _kl_bernoullis(q: Bernoulli, p: Bernoulli) -> Array:
    log_ratio_1 = jax.nn.log_sigmoid(q.logits) - jax.nn.log_sigmoid(p.logits)
    log_ratio_0 = jax.nn.log_sigmoid(-q.logits) - jax.nn.log_sigmoid(-p.logits)
    return q.mean * log_ratio_1 + jax.nn.sigmoid(-q.logits) * log_ratio_0


@closed_form_kl(Deterministic, DiagGaussian)
def _kl_point_mass(q: Deterministic, p: DiagGaussian) -> Array:
    # A point mass is singular with respect to any density.
    return jnp.full(jnp.broadcast_shapes(q.mean.shape, p.mean.shape), jnp.inf, q.mean.dtype)


def monte_carlo_kl(
    key: Array, q: Distribution, p: Distribution, num_samples: int
) -> tuple[Array, Array]:
    """Estimate KL(q || p) as the mean of log q - log p over samples of q.

    Returns the estimate and its standard error, each ``[*batch]``.
    """
    chex.assert_scalar_positive(num_samples)
    value, log_q = q.sample_and_log_prob(key, (num_samples,))
    ratio = log_q - p.log_prob(value)
    return ratio.mean(0), ratio.std(0, ddof=1) / math.sqrt(num_samples)
