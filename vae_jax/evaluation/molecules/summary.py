"""All numbers of a set of molecules, with each molecule parsed and described once."""

import dataclasses
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from vae_jax.evaluation.common import Estimate
from vae_jax.evaluation.molecules import counts, shares, similarity
from vae_jax.evaluation.molecules.parsing import Molecule, parse
from vae_jax.evaluation.molecules.properties import properties, wasserstein

SIZES = (1_000, 10_000)  # numbers of samples that uniqueness is reported at


@dataclasses.dataclass(frozen=True, eq=False)
class Description:
    """The features by which molecules are compared.

    Attributes:
      molecules: [N] from RDKit, None for invalid ones.
      fingerprints: [number valid, 1024].
      fragments: numbers of BRICS fragments.
      scaffolds: numbers of scaffolds.
      properties: [N] by name.
    """

    molecules: Sequence[Any]
    fingerprints: np.ndarray
    fragments: Counter[str]
    scaffolds: Counter[str]
    properties: dict[str, np.ndarray]

    @property
    def num_valid(self) -> int:
        """The number of valid molecules."""
        return len(self.fingerprints)


def describe(molecules: Sequence[Molecule]) -> Description:
    """Describe molecules, about 4 ms each."""
    parsed = parse(molecules)
    return Description(
        parsed,
        similarity.fingerprints(parsed),
        counts.fragment_counts(parsed),
        counts.scaffold_counts(parsed),
        properties(parsed),
    )


def compare(
    samples: Description, reference: Description, known: frozenset[str]
) -> dict[str, Estimate | float]:
    """All numbers of samples, by name; NaN for what can't be measured.

    The Fréchet ChemNet distance of MOSES is not among them: it needs the weights of a network that
    are published for another framework, and nothing replaces it.

    Args:
      samples: molecules of a model, in their order.
      reference: test molecules.
      known: canonical SMILES of the training molecules.
    """
    parsed, bits = samples.molecules, samples.fingerprints
    alerts = shares.filters(parsed)
    return {
        "validity": shares.validity(parsed),
        **{f"uniqueness_{k}": shares.uniqueness(parsed, k) for k in SIZES},
        "uniqueness": shares.uniqueness(parsed),
        "novelty": shares.novelty(parsed, known),
        "internal_diversity": similarity.diversity_of(bits),
        "internal_diversity_2": similarity.diversity_of(bits, p=2),
        "nearest_similarity": similarity.snn_of(bits, reference.fingerprints),
        "fragment_similarity": counts.cosine(samples.fragments, reference.fragments),
        "scaffold_similarity": counts.cosine(samples.scaffolds, reference.scaffolds),
        **{f"passes_{name.lower()}": share for name, share in alerts.items()},
        "has_radical": shares.radicals(parsed),
        "has_large_ring": shares.large_rings(parsed),
        **{
            f"wasserstein_{name}": wasserstein(values, reference.properties[name])
            for name, values in samples.properties.items()
        },
    }


def explain_missing(samples: Description, reference: Description) -> list[str]:
    """Why numbers of `compare` are NaN, one reason for each; empty if none is."""
    size, valid = len(samples.molecules), samples.num_valid
    reasons = [f"fewer than {k:,} samples" for k in SIZES if size < k]
    if not valid:
        return [*reasons, "no molecule is valid" if size else "there are no molecules"]
    if valid == 1:
        reasons.append("diversity needs two valid molecules")
    if not samples.scaffolds:
        reasons.append(f"no scaffold has {counts.MIN_RINGS} rings")
    if not reference.num_valid:
        reasons.append("no reference molecule is valid")
    elif not reference.scaffolds:
        reasons.append(f"no scaffold of the reference has {counts.MIN_RINGS} rings")
    return reasons
