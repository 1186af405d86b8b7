"""Matching latents to factors of the data."""

from collections.abc import Sequence

import numpy as np

MIN_SHARE = 0.05  # share of a factor's entropy that a code must explain
MIN_RATIO = 2.0  # ratio to the share that it explains of any other factor
MAX_EXAMPLES = 10_000


def match_factors(
    codes: np.ndarray, factors: np.ndarray | None, names: Sequence[str] = (), *, seed: int = 0
) -> list[str]:
    """For each of the codes [N, D], the name of the factor that it clearly follows, or "".

    I_dk is the mutual information of the binned code d with factor k, I'_dk with the factor
    in random order (above 0 for finite N), and H_k the entropy of the factor. Code d follows the
    factor with the largest share (I_dk - I'_dk) / H_k, if the share is at least `MIN_SHARE` and
    `MIN_RATIO` times the share of any other factor.

    Args:
      codes: [N, D]; no code follows a factor unless all are finite.
      factors: integers [N, F]; labels of other kinds are not factors.
      names: names of the F factors; numbered if the lengths differ.
      seed: seed of the random order.
    """
    no_match = [""] * codes.shape[1]
    if factors is None or factors.ndim != 2 or factors.dtype.kind not in "iu":
        return no_match
    if not np.isfinite(codes).all():
        return no_match
    codes = codes[:MAX_EXAMPLES]
    factors = factors[:MAX_EXAMPLES]
    varying = [k for k, column in enumerate(factors.T) if len(np.unique(column)) > 1]
    if not varying or len(codes) < 2:
        return no_match
    # imports scikit-learn, which is slow
    from vae_jax.evaluation.disentanglement.information import mutual_information

    if len(names) != factors.shape[1]:
        names = [f"factor {k}" for k in range(factors.shape[1])]
    names = [names[k] for k in varying]
    factors = factors[:, varying]
    shuffled = np.random.default_rng(seed).permutation(factors)
    entropy = np.array([_entropy(column) for column in factors.T])
    information = mutual_information(codes, factors) - mutual_information(codes, shuffled)
    return [_select_factor(row, names) for row in information / entropy]  # [D, F]


def _select_factor(shares: np.ndarray, names: Sequence[str]) -> str:
    best = int(np.argmax(shares))
    others = np.delete(shares, best)
    is_clear = not others.size or shares[best] >= MIN_RATIO * others.max()
    return str(names[best]) if is_clear and shares[best] >= MIN_SHARE else ""


def _entropy(column: np.ndarray) -> float:
    share = np.unique(column, return_counts=True)[1] / len(column)
    return float(-np.sum(share * np.log(share)))
