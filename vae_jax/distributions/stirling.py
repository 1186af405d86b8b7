"""Gamma functions of large arguments: remainders of Stirling's formula, and logs of ratios."""

import math

import jax.numpy as jnp
from jax.scipy.special import gammaln

from vae_jax.types import Array, Scalar

HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)
STIRLING_FROM = 8.0  # above it, four terms of the series reach float32 accuracy
CLOSE = 0.2  # below it, a series gives log(1 + d) - d without cancellation


def stirling_error(y: Scalar) -> Array:
    """Return log Gamma(y) - ((y - 1/2) log y - y + log(2 pi) / 2), elementwise in float32."""
    y, small = jnp.asarray(y, jnp.float32), jnp.asarray(y) < STIRLING_FROM
    s = jnp.where(small, y, 1.0)
    exact = gammaln(s) - (s - 0.5) * jnp.log(s) + s - HALF_LOG_2PI
    square = jnp.square(1 / jnp.where(small, STIRLING_FROM, y))
    series = (1 / 12 - square * (1 / 360 - square / 1260)) / jnp.where(small, STIRLING_FROM, y)
    return jnp.where(small, exact, series)


def log_ratio(a: Array, b: Array, difference: Array) -> Array:
    """Return log(a / b) from a, b and a - b, elementwise.

    It is more accurate than the logarithm of the quotient when a and b are close.
    """
    close = jnp.abs(difference) < b / 2
    from_difference = jnp.log1p(jnp.where(close, difference / b, 0))
    return jnp.where(close, from_difference, jnp.log(jnp.where(close, 1, a / b)))


def log1p_rest(d: Array) -> Array:
    """Return log(1 + d) - d for |d| < 0.2, elementwise.

    With s = d / (2 + d) it is 2 (s^3 / 3 + s^5 / 5 + ...) - s d.
    """
    s = d / (2 + d)
    square = jnp.square(s)
    return 2 * s * square * (1 / 3 + square * (1 / 5 + square / 7)) - s * d
