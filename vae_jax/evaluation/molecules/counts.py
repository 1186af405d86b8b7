"""Similarity of two sets of molecules in their fragments and scaffolds.

Polykovskiy et al., 2020, arXiv:1811.12823 (MOSES).
"""

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

from vae_jax.data.optional import import_rdkit
from vae_jax.evaluation.molecules.parsing import Molecule, parse_valid

MIN_RINGS = 2  # of a scaffold, as in MOSES' program


def fragment_similarity(molecules: Sequence[Molecule], reference: Sequence[Molecule]) -> float:
    """The cosine of the numbers of BRICS fragments: sum_f a_f b_f / (|a| |b|), from 0 to 1.

    BRICS: Degen et al., 2008. NaN if either has no valid molecule.
    """
    return cosine(fragment_counts(molecules), fragment_counts(reference))


def scaffold_similarity(molecules: Sequence[Molecule], reference: Sequence[Molecule]) -> float:
    """The cosine of the numbers of Bemis-Murcko scaffolds (1996), as `fragment_similarity`.

    Scaffolds have at least two rings, as in MOSES' program, and keep their stereochemistry; the
    molecules of MOSES have none. NaN if either has no scaffold.
    """
    return cosine(scaffold_counts(molecules), scaffold_counts(reference))


def cosine(a: Counter[str], b: Counter[str]) -> float:
    """The cosine of two vectors of counts; NaN if one is zero."""
    norms = [math.sqrt(sum(count**2 for count in counts.values())) for counts in (a, b)]
    if not all(norms):
        return math.nan
    return min(sum(count * b[name] for name, count in a.items()) / (norms[0] * norms[1]), 1.0)


def fragment_counts(molecules: Sequence[Molecule]) -> Counter[str]:
    """The number of each BRICS fragment, as SMILES with numbered attachment points."""
    chem = import_rdkit()
    return Counter(
        fragment
        for molecule in parse_valid(molecules)
        for fragment in chem.MolToSmiles(chem.FragmentOnBRICSBonds(molecule)).split(".")
    )


def scaffold_counts(molecules: Sequence[Molecule]) -> Counter[str]:
    """The number of molecules of each scaffold of at least two rings."""
    scaffolds = map(scaffold, parse_valid(molecules))
    return Counter(smiles for smiles in scaffolds if smiles is not None)


def scaffold(molecule: Any) -> str | None:
    """The scaffold of an RDKit molecule: rings and what connects them; None if it has one ring."""
    chem = import_rdkit()
    from rdkit.Chem.Scaffolds import MurckoScaffold

    try:
        core = MurckoScaffold.GetScaffoldForMol(molecule)
    except ValueError:  # without its side chains it can't be sanitized
        return None
    if core.GetRingInfo().NumRings() < MIN_RINGS:
        return None
    return str(chem.MolToSmiles(core))
