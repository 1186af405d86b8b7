"""Checks of the keys, numbers and temperatures given to a trained model.

Inside `jax.jit` traced values are not checked.
"""

import math
import numbers
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vae_jax.errors import InputError, format_value


def check_key(key: Any) -> None:
    """Raises InputError unless it is a PRNG key: `jax.random.key`, or `jax.random.PRNGKey`."""
    if hasattr(key, "dtype") and hasattr(key, "shape"):
        is_new = jnp.issubdtype(key.dtype, jax.dtypes.prng_key)
        if is_new and key.shape == ():
            return
        if not is_new and _is_key_data(key):
            return
        problem = f"key has shape {tuple(key.shape)} and dtype {key.dtype}"
    else:
        problem = f"key = {format_value(key, 60)}"
    raise InputError(f"{problem}: must be one PRNG key, such as jax.random.key(0)")


def _is_key_data(key: Any) -> bool:
    """True for uint32 of the size of a key of the default generator."""
    if key.dtype != jnp.uint32 or len(key.shape) != 1:
        return False
    try:
        jax.eval_shape(jax.random.wrap_key_data, key)
    except (TypeError, ValueError):
        return False
    return True


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
        array = np.asarray(value)
        number = float(value) if array.ndim == 0 and array.dtype.kind not in "OUS" else math.nan
    except (TypeError, ValueError):
        number = math.nan
    if not 0 <= number < math.inf:
        raise InputError(
            f"temperature = {format_value(value, 60)}: must be one number, finite and at least 0"
        )
