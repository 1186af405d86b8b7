"""Scales that stay finite: the smooth bounds of every learned log-variance."""

import math
from typing import TypeAlias

import jax
import jax.numpy as jnp

Array: TypeAlias = jax.Array
LOGVAR_RANGE = (-14.0, 8.0)  # of a scale that is learned: standard deviations from 9e-4 to 55


def soft_clip(x: Array, low: float, high: float) -> Array:
    """A smooth, monotone map of the reals into (low, high) that is close to the identity well inside it."""
    x = low + jax.nn.softplus(x - low)
    return high - (high - low) / jax.nn.softplus(high - low) * jax.nn.softplus(high - x)


def inverse_soft_clip(y: Array | float, low: float, high: float) -> Array:
    """The x that `soft_clip` maps to y, inside (low, high)."""
    inner = high - jnp.log(jnp.expm1((high - y) / (high - low) * math.log1p(math.exp(high - low))))
    return low + jnp.log(jnp.expm1(inner - low))
