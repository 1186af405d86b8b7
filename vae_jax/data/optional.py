"""Packages of the extras, imported when data need them."""

import functools
import importlib
from typing import Any

from vae_jax.errors import InputError


def import_pandas() -> Any:
    """The module pandas; raises InputError with the command that installs it."""
    return _import("pandas", "tables need it", "tables")


def import_parquet() -> Any:
    """The module pyarrow.parquet; raises InputError with the command that installs it."""
    return _import("pyarrow.parquet", "Parquet files need it; CSV files do not", "tables")


@functools.cache
def import_rdkit() -> Any:
    """The module rdkit.Chem, without RDKit's log messages; raises InputError if not installed."""
    chem = _import("rdkit.Chem", "molecules need it", "molecules")
    importlib.import_module("rdkit.RDLogger").DisableLog("rdApp.*")
    return chem


def import_selfies() -> Any:
    """The module selfies; raises InputError with the command that installs it."""
    return _import("selfies", "the alphabet 'selfies' needs it", "molecules")


def import_safetensors() -> Any:
    """The module safetensors.numpy; raises InputError with the command that installs it."""
    return _import("safetensors.numpy", "an export needs it", "export")


def import_flatbuffers() -> Any:
    """The module flatbuffers; raises InputError with the command that installs it."""
    return _import("flatbuffers", "JAX serializes programs with it", "export")


def import_tracker(name: str) -> Any:
    """The module wandb or trackio; raises InputError with the command that installs it."""
    return _import(name, f"config.train.tracker = {name!r} needs it", name)


def _import(name: str, reason: str, extra: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        package = name.partition(".")[0]
        command = f"pip install 'vae_jax[{extra}]'"
        raise InputError(f"{package} is not installed, and {reason}; {command}") from error
