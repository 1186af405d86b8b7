"""RDKit and selfies, imported when molecules are read, drawn or measured."""

import functools
import importlib
from typing import Any

from vae_jax.errors import InputError

COMMAND = "pip install 'vae_jax[molecules]'"


@functools.cache
def import_rdkit() -> Any:
    """The module rdkit.Chem, without RDKit's log messages; raises InputError if not installed."""
    chem = _import("rdkit.Chem", "molecules need it")
    importlib.import_module("rdkit.RDLogger").DisableLog("rdApp.*")
    return chem


def import_selfies() -> Any:
    """The module selfies; raises InputError with the command that installs it."""
    return _import("selfies", "the alphabet 'selfies' needs it")


def _import(name: str, reason: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        package = name.partition(".")[0]
        raise InputError(f"{package} is not installed, and {reason}; {COMMAND}") from error
