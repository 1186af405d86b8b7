"""Pandas, imported when a table is read."""

import importlib
from typing import Any

from vae_jax.errors import InputError

COMMAND = "pip install 'vae_jax[tables]'"


def import_pandas() -> Any:
    """The module pandas; raises InputError with the command that installs it."""
    return _import("pandas", "tables need it")


def import_parquet() -> Any:
    """The module pyarrow.parquet; raises InputError with the command that installs it."""
    return _import("pyarrow.parquet", "Parquet files need it; CSV files do not")


def _import(name: str, reason: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        package = name.partition(".")[0]
        raise InputError(f"{package} is not installed, and {reason}; {COMMAND}") from error
