"""Shares of valid, distinct, new and unsuspicious molecules.

Polykovskiy et al., 2020, arXiv:1811.12823 (MOSES), with the differences that are stated.
"""

import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from vae_jax.data.optional import import_rdkit
from vae_jax.errors import InputError, check_choice, check_range, format_value
from vae_jax.evaluation.common import Estimate, share_estimate
from vae_jax.evaluation.molecules.parsing import Molecule, canonical, parse, parse_valid

FILTERS = ("BRENK", "PAINS")
LARGE_RING = 8  # atoms
UNKNOWN = Estimate(math.nan, math.nan)


def validity(molecules: Sequence[Molecule]) -> Estimate:
    """The share of valid molecules, see `parse`, with its binomial standard error.

    NaN if there are no molecules.
    """
    return _share([molecule is not None for molecule in parse(molecules)])


def uniqueness(molecules: Sequence[Molecule], k: int | None = None) -> float:
    """The share of distinct molecules among the valid ones of the first k: distinct / valid.

    Molecules are the same if their canonical SMILES are. MOSES takes the first k valid molecules
    instead; with N = k samples both have the same. It falls as k grows, so values at different
    numbers can't be compared.

    Args:
      molecules: N samples.
      k: number of samples; all by default.

    Returns:
      NaN if there are fewer than k samples, or no valid one.
    """
    if k is not None:
        check_range("k", k, 1)
    if k is not None and len(molecules) < k:
        return math.nan
    smiles = [text for text in canonical(molecules[:k]) if text is not None]
    return len(set(smiles)) / len(smiles) if smiles else math.nan


def novelty(molecules: Sequence[Molecule], known: frozenset[str] | set[str]) -> Estimate:
    """The share of the distinct valid molecules that are not known, with its binomial error.

    Args:
      molecules: samples.
      known: canonical SMILES of the training molecules, see `canonical_set`.

    Returns:
      NaN if no molecule is valid.

    Raises:
      InputError: `known` is no set, so its SMILES may not be canonical.
    """
    if not isinstance(known, frozenset | set):
        raise InputError(
            f"known = {format_value(known)}: must be the set that canonical_set returns"
        )
    distinct = {text for text in canonical(molecules) if text is not None}
    return _share([text not in known for text in distinct])


def filters(
    molecules: Sequence[Molecule], catalogs: Sequence[str] = FILTERS
) -> dict[str, Estimate]:
    """The share of valid molecules without a structural alert, for each catalog of RDKit.

    BRENK: unwanted groups (Brenk et al., 2008). PAINS: frequent false positives of assays (Baell
    and Holloway, 2010), families A to C. The filters of MOSES are others: its medicinal chemistry
    filters are not in RDKit, and it refuses charges and some elements and rings as well, so these
    numbers can't be compared with its "Filters".

    Returns:
      Shares by catalog with binomial errors, NaN if no molecule is valid.
    """
    valid = parse_valid(molecules)
    return {name: _share([not _catalog(name).HasMatch(m) for m in valid]) for name in catalogs}


def radicals(molecules: Sequence[Molecule]) -> Estimate:
    """The share of valid molecules with an unpaired electron, with its binomial standard error.

    RDKit reads an atom in brackets with fewer bonds than it can have, such as [CH], as a radical.
    Drug-like compounds have none.
    """
    return _share(
        [any(a.GetNumRadicalElectrons() for a in m.GetAtoms()) for m in parse_valid(molecules)]
    )


def large_rings(molecules: Sequence[Molecule], size: int = LARGE_RING) -> Estimate:
    """The share of valid molecules with a ring of at least `size` atoms, with its binomial error.

    Rings are those of RDKit's smallest set, so that fused small rings don't count as a large one.
    """
    rings = [m.GetRingInfo().AtomRings() for m in parse_valid(molecules)]
    return _share([any(len(ring) >= size for ring in each) for each in rings])


@functools.cache
def _catalog(name: str) -> Any:
    import_rdkit()
    from rdkit.Chem import FilterCatalog

    available = FilterCatalog.FilterCatalogParams.FilterCatalogs
    check_choice("catalogs", name, available.names)
    parameters = FilterCatalog.FilterCatalogParams()
    parameters.AddCatalog(available.names[name])
    return FilterCatalog.FilterCatalog(parameters)


def _share(hits: Sequence[bool]) -> Estimate:
    return share_estimate(np.array(hits)) if hits else UNKNOWN
