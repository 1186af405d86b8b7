"""How a name in the config becomes an entry of a table."""

from collections.abc import Mapping
from typing import Any

import jax

from vae_jax.errors import check_choice
from vae_jax.types import Scalar


def pick(table: Mapping[str, Any], field: str, name: str) -> Any:
    """The entry of that name, or InputError with the field and the names there are."""
    return table[check_choice(f"config.{field}", name, table)]


def is_on(value: Scalar) -> bool:
    """Whether a hyper-parameter for which 0 is off is on: one that is traced, and so differs between trials, always is."""
    return isinstance(value, jax.Array) or value > 0
