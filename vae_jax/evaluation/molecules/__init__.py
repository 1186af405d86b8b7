"""Metrics of generated molecules: pure functions on lists of SMILES.

Definitions of MOSES (Polykovskiy et al., 2020, arXiv:1811.12823), differences are stated. An entry
that is None, '' or no valid SMILES is an invalid molecule. All need the extra 'molecules'.

The Fréchet ChemNet distance is left out: it needs the weights of a network that are published for
another framework, and nothing replaces it under its name.
"""

from vae_jax.evaluation.molecules.counts import (
    fragment_similarity,
    scaffold_similarity,
)
from vae_jax.evaluation.molecules.parsing import Molecule, canonical, canonical_set, parse
from vae_jax.evaluation.molecules.properties import PROPERTIES, properties, wasserstein
from vae_jax.evaluation.molecules.shares import (
    FILTERS,
    filters,
    large_rings,
    novelty,
    radicals,
    uniqueness,
    validity,
)
from vae_jax.evaluation.molecules.similarity import (
    Nearest,
    fingerprints,
    internal_diversity,
    nearest_neighbors,
    nearest_similarity,
)
from vae_jax.evaluation.molecules.summary import (
    Description,
    compare,
    describe,
    explain_missing,
)

__all__ = [
    "FILTERS",
    "PROPERTIES",
    "Description",
    "Molecule",
    "Nearest",
    "canonical",
    "canonical_set",
    "compare",
    "describe",
    "explain_missing",
    "filters",
    "fingerprints",
    "fragment_similarity",
    "internal_diversity",
    "large_rings",
    "nearest_neighbors",
    "nearest_similarity",
    "novelty",
    "parse",
    "properties",
    "radicals",
    "scaffold_similarity",
    "uniqueness",
    "validity",
    "wasserstein",
]
