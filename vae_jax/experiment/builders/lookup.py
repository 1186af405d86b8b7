"""Look up config values in tables."""

from collections.abc import Mapping
from typing import Any

import jax

from vae_jax.errors import check_choice
from vae_jax.types import Scalar


def pick(table: Mapping[str, Any], field: str, name: str) -> Any:
    """Return the entry of that name. Raises InputError with the available names if unknown."""
    return table[check_choice(f"config.{field}", name, table)]


def value_or_none(group: Any, name: str) -> Any:
    """Return the value of a field of a group of the config, None if it is its `off` value."""
    value = getattr(group, name)
    off = type(group).__dataclass_fields__[name].metadata["off"]
    is_off = off is not None and not isinstance(value, jax.Array) and value == off
    return None if is_off else value


def is_on(value: Scalar) -> bool:
    """True if a hyper-parameter for which 0 means off is above 0, or differs between trials."""
    return isinstance(value, jax.Array) or value > 0
