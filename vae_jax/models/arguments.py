"""Checks of the keys, numbers and temperatures given to a trained model.

Inside `jax.jit` traced values are not checked.
"""

import math
import numbers
from typing import Any

import jax
import jax.numpy as jnp

from vae_jax.errors import InputError, format_value


def check_key(key: Any) -> None:
    """Raises InputError unless it is a PRNG key: `jax.random.key`, or `jax.random.PRNGKey`."""
    if hasattr(key, "dtype") and hasattr(key, "shape"):
        is_new = jnp.issubdtype(key.dtype, jax.dtypes.prng_key)
        if is_new and key.shape == ():
            return
        if not is_new and key.dtype == jnp.uint32 and len(key.shape) == 1:
            return
        problem = f"key has shape {tuple(key.shape)} and dtype {key.dtype}"
    else:
        problem = f"key = {format_value(key, 60)}"
    raise InputError(f"{problem}: must be one PRNG key, such as jax.random.key(0)")


def check_number(name: str, value: Any) -> None:
    """Raises InputError unless a number of samples is a whole number from 1."""
    is_whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if not is_whole or value < 1:
        raise InputError(f"{name} = {format_value(value, 60)}: must be a whole number, at least 1")


def check_temperature(value: Any) -> None:
    """Raises InputError for a temperature that is no finite number from 0; None is none."""
    if value is None or isinstance(value, jax.core.Tracer):
        return
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not 0 <= number < math.inf:
        raise InputError(
            f"temperature = {format_value(value, 60)}: must be a finite number, at least 0"
        )
