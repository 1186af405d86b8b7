"""Tanimoto similarity of molecules: internal diversity, and the nearest of other molecules.

Polykovskiy et al., 2020, arXiv:1811.12823 (MOSES).
"""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from vae_jax.data.optional import import_rdkit
from vae_jax.errors import check_range
from vae_jax.evaluation.common import Estimate, mean_estimate
from vae_jax.evaluation.molecules.parsing import Molecule, parse, parse_valid

RADIUS, NUM_BITS = 2, 1_024  # of Morgan fingerprints, as in MOSES
BLOCK = 1_000  # rows, and 10 times as many columns, of similarities computed at a time


class Nearest(NamedTuple):
    """The nearest reference molecule of each molecule."""

    similarity: np.ndarray  # [N] from 0 to 1, NaN for invalid molecules
    position: np.ndarray  # [N] among the reference molecules, -1 for invalid molecules


def fingerprints(molecules: Sequence[Molecule]) -> np.ndarray:
    """Morgan fingerprints of the M valid molecules, [M, 1024] of 0 and 1, uint8.

    Radius 2, without chirality (Rogers and Hahn, 2010). Stereoisomers have the same fingerprint.
    """
    valid = parse_valid(molecules)
    import_rdkit()
    from rdkit.Chem import rdFingerprintGenerator

    generator = rdFingerprintGenerator.GetMorganGenerator(radius=RADIUS, fpSize=NUM_BITS)
    bits = np.zeros((len(valid), NUM_BITS), np.uint8)
    for row, molecule in zip(bits, valid, strict=True):
        row[:] = generator.GetFingerprintAsNumPy(molecule)
    return bits


def internal_diversity(molecules: Sequence[Molecule], *, p: float = 1) -> float:
    """The diversity of the valid molecules G: 1 - (1 / |G|^2 sum_ab T(a, b)^p)^(1/p).

    T is the Tanimoto similarity of `fingerprints`; the sum is over all ordered pairs, each molecule
    with itself as well. Benhenda, 2017, arXiv:1708.08227. For p = 2 MOSES' program takes the root
    for each molecule and then the mean, unlike its paper and this function.

    Returns:
      0 for equal molecules; NaN for fewer than two valid ones.
    """
    check_range("p", p, 0, open_low=True)
    return diversity_of(fingerprints(molecules), p=p)


def diversity_of(bits: np.ndarray, *, p: float = 1) -> float:
    """The diversity of fingerprints [N, F]."""
    size = len(bits)
    if size < 2:
        return math.nan
    total = sum(
        float(np.sum(block if p == 1 else block**p, dtype=np.float64))
        for _, _, block in _similarities(bits, bits)
    )
    return float(1 - (total / size**2) ** (1 / p))


def nearest_neighbors(molecules: Sequence[Molecule], reference: Sequence[Molecule]) -> Nearest:
    """The most similar valid molecule of the reference for each of N molecules.

    It may be the same molecule. The first one of equally similar ones. Without a valid reference
    molecule, none has a neighbor.
    """
    queries, others = parse(molecules), parse(reference)
    rows, places = (
        np.array([i for i, molecule in enumerate(parsed) if molecule is not None], int)
        for parsed in (queries, others)
    )
    similarity, position = np.full(len(queries), math.nan), np.full(len(queries), -1)
    if len(rows) and len(places):
        nearest = nearest_of(fingerprints(queries), fingerprints(others))
        similarity[rows], position[rows] = nearest.similarity, places[nearest.position]
    return Nearest(similarity, position)


def nearest_of(bits: np.ndarray, reference: np.ndarray) -> Nearest:
    """The nearest of fingerprints reference [M, F], at least one, for each of bits [N, F]."""
    similarity, position = np.full(len(bits), -1.0), np.zeros(len(bits), int)
    for rows, columns, block in _similarities(bits, reference):
        best = block.argmax(axis=1)
        values = block[np.arange(len(block)), best]
        is_nearer = values > similarity[rows]
        position[rows] = np.where(is_nearer, best + columns.start, position[rows])
        similarity[rows] = np.where(is_nearer, values, similarity[rows])
    return Nearest(similarity, position)


def nearest_similarity(molecules: Sequence[Molecule], reference: Sequence[Molecule]) -> Estimate:
    """SNN: the mean over the valid molecules of the largest similarity to a reference molecule.

    Returns:
      The mean with the standard error over the molecules, for a fixed reference; NaN if either has
      no valid molecule.
    """
    return snn_of(fingerprints(molecules), fingerprints(reference))


def snn_of(bits: np.ndarray, reference: np.ndarray) -> Estimate:
    """The mean similarity of `nearest_of` over bits [N, F]; NaN without any on either side."""
    if not len(bits) or not len(reference):
        return Estimate(math.nan, math.nan)
    return mean_estimate(nearest_of(bits, reference).similarity)


def _similarities(x: np.ndarray, y: np.ndarray) -> Iterator[tuple[slice, slice, np.ndarray]]:
    """Yield (rows, columns, T [rows, columns]), T = |a and b| / |a or b| of bits x and y.

    The counts are exact in float32. Two molecules without bits have similarity 1, as in MOSES.
    """
    sizes = [bits.sum(axis=1, dtype=np.float32) for bits in (x, y)]
    for begin in range(0, len(y), 10 * BLOCK):
        columns = slice(begin, begin + 10 * BLOCK)
        transposed = y[columns].T.astype(np.float32)
        for start in range(0, len(x), BLOCK):
            rows = slice(start, start + BLOCK)
            both = x[rows].astype(np.float32) @ transposed
            either = sizes[0][rows, None] + sizes[1][None, columns] - both
            np.divide(both, either, out=both, where=either > 0)
            both[either == 0] = 1
            yield rows, columns, both
