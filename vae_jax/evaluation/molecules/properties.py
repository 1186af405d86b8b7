"""Properties of molecules, and the distance of their distributions."""

import functools
import importlib
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from vae_jax.data.optional import import_rdkit
from vae_jax.errors import InputError, check_choice
from vae_jax.evaluation.molecules.parsing import Molecule, parse

PROPERTIES: Mapping[str, tuple[str, str]] = {  # module and function of RDKit
    "logp": ("Chem.Crippen", "MolLogP"),
    "qed": ("Chem.QED", "qed"),
    "sa": ("Contrib.SA_Score.sascorer", "calculateScore"),
    "weight": ("Chem.Descriptors", "MolWt"),
}


def properties(
    molecules: Sequence[Molecule], names: Sequence[str] = tuple(PROPERTIES)
) -> dict[str, np.ndarray]:
    """Properties [N] of N molecules by name, float64, NaN for invalid molecules.

    logp: estimated logarithm of the octanol-water partition (Wildman and Crippen, 1999). qed:
    drug-likeness from 0 to 1 (Bickerton et al., 2012), about 1.5 ms each. sa: synthetic
    accessibility from 1, easy, to 10 (Ertl and Schuffenhauer, 2009). weight: average molecular
    weight in g/mol.

    Raises:
      InputError: an unknown name, or RDKit is not installed or lacks its Contrib folder.
    """
    functions = {name: _function(name) for name in names}
    parsed = parse(molecules)
    return {
        name: np.array([math.nan if m is None else function(m) for m in parsed], float)
        for name, function in functions.items()
    }


def _function(name: str) -> Callable[[Any], float]:
    """The function of a property, from an RDKit molecule."""
    import_rdkit()
    module, function = PROPERTIES[check_choice("names", name, PROPERTIES)]
    try:
        return getattr(importlib.import_module(f"rdkit.{module}"), function)
    except ImportError as error:
        raise InputError(
            f"names = {name!r}: this installation of RDKit has no rdkit.{module}; pip install rdkit"
        ) from error


def wasserstein(x: np.ndarray, y: np.ndarray) -> float:
    """The Wasserstein-1 distance of samples x [N], y [M]: the integral of |F_x(t) - F_y(t)|.

    F is the share of the values up to t. It has the unit of the values. NaN values, properties of
    invalid molecules, are left out; NaN if none is left.
    """
    x, y = (np.sort(values[~np.isnan(values)]) for values in map(_as_floats, (x, y)))
    if not len(x) or not len(y):
        return math.nan
    steps = np.sort(np.concatenate([x, y]))
    shares = [np.searchsorted(v, steps[:-1], side="right") / len(v) for v in (x, y)]
    return float(np.sum(np.abs(shares[0] - shares[1]) * np.diff(steps)))


_as_floats = functools.partial(np.asarray, dtype=np.float64)
