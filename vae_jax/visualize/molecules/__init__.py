"""Figures of molecules: structures drawn by RDKit, and the distributions of their properties.

Molecules are SMILES; text that is no molecule is shown as it is.
"""

from vae_jax.visualize.molecules.curves import PROPERTY_NAMES, property_histograms
from vae_jax.visualize.molecules.examples import reconstructions, samples
from vae_jax.visualize.molecules.paths import (
    Interpolation,
    Neighborhood,
    interpolations,
    neighbors,
)
from vae_jax.visualize.molecules.search import best_found

__all__ = [
    "PROPERTY_NAMES",
    "Interpolation",
    "Neighborhood",
    "best_found",
    "interpolations",
    "neighbors",
    "property_histograms",
    "reconstructions",
    "samples",
]
