"""Which latent follows which factor of the data."""

from collections.abc import Sequence

import numpy as np

LEAST = 0.05  # of the entropy of a factor: what a code must tell about it to follow it
CLEARLY = 2.0  # times what it tells about any other
MOST_EXAMPLES = 10_000


def match_factors(
    codes: np.ndarray, factors: np.ndarray | None, names: Sequence[str] = (), *, seed: int = 0
) -> list[str]:
    """For each of the codes [N, D] the name of the factor that it follows clearly, or nothing.

    With I_dk the mutual information of code d, in bins, with factor k, I'_dk that with the factor in a random order (the
    counts of N examples are never quite even, so it is above 0 too), and H_k the entropy of the factor, d follows the k with
    the greatest share (I_dk - I'_dk) / H_k, when that is at least `LEAST` and `CLEARLY` times that of any other.

    Args:
      codes: [N, D], finite; else no code follows anything.
      factors: integers [N, F], or labels of any other kind, which are no factors.
      names: of the F factors; numbers where there are not as many.
      seed: of the random order.
    """
    nothing = [""] * codes.shape[1]
    if (
        factors is None
        or factors.ndim != 2
        or factors.dtype.kind not in "iu"
        or not np.isfinite(codes).all()
    ):
        return nothing
    codes, factors = codes[:MOST_EXAMPLES], factors[:MOST_EXAMPLES]
    varying = [k for k, column in enumerate(factors.T) if len(np.unique(column)) > 1]
    if not varying or len(codes) < 2:
        return nothing
    from vae_jax.evaluation.disentanglement.information import (
        mutual_information,  # brings in scikit-learn, slow to import
    )

    names = (
        names
        if len(names) == factors.shape[1]
        else [f"factor {k}" for k in range(factors.shape[1])]
    )
    factors = factors[:, varying]
    shuffled = np.random.default_rng(seed).permutation(factors)
    entropy = np.array([_entropy(column) for column in factors.T])
    share = (
        mutual_information(codes, factors) - mutual_information(codes, shuffled)
    ) / entropy  # [D, F]
    return [_clearest(row, [names[k] for k in varying]) for row in share]


def _clearest(share: np.ndarray, names: Sequence[str]) -> str:
    first = int(np.argmax(share))
    others = np.delete(share, first)
    clear = share[first] >= LEAST and (not others.size or share[first] >= CLEARLY * others.max())
    return str(names[first]) if clear else ""


def _entropy(column: np.ndarray) -> float:
    share = np.unique(column, return_counts=True)[1] / len(column)
    return float(-np.sum(share * np.log(share)))
