"""Smooth bounds for learned log-variances and log-scales."""

import math

import jax
import jax.numpy as jnp

from vae_jax.types import Array, Scalar

LOGVAR_RANGE = (-14.0, 8.0)  # learned scales: standard deviations from 9e-4 to 55

LOG_DF_RANGE = (math.log(2), math.log(1000))  # the variance is finite, and nearly Gaussian


def soft_clip(x: Array, low: float, high: float) -> Array:
    """A smooth, increasing map of the reals onto (low, high), elementwise.

    It is close to the identity well inside the interval.
    """
    x = low + jax.nn.softplus(x - low)
    return high - (high - low) / jax.nn.softplus(high - low) * jax.nn.softplus(high - x)


def inverse_soft_clip(y: Array | float, low: float, high: float) -> Array:
    """The x that `soft_clip` maps to y in (low, high), elementwise."""
    inner = high - jnp.log(jnp.expm1((high - y) / (high - low) * math.log1p(math.exp(high - low))))
    return low + jnp.log(jnp.expm1(inner - low))


def bounded_logvar(raw: Array) -> Array:
    """The identity between -14 and 8, smoothly bounded: standard deviations in (9e-4, 55).

    Elementwise, from raw outputs of a network to log sigma^2.
    """
    return soft_clip(raw, *LOGVAR_RANGE)


def bounded_df(raw: Array, start: Scalar) -> Array:
    """Degrees of freedom in (2, 1000), elementwise: `start` at raw = 0, and increasing."""
    return jnp.exp(soft_clip(inverse_soft_clip(jnp.log(start), *LOG_DF_RANGE) + raw, *LOG_DF_RANGE))


def softplus_logvar(raw: Array) -> Array:
    """2 log sigma of the standard deviation sigma = softplus(raw) + 1e-3, elementwise.

    Sigma grows linearly in raw.
    """
    return 2 * jnp.log(jax.nn.softplus(raw) + 1e-3)
