"""Mutual information of binned codes and factors: MIG of Locatello et al., and modularity."""

import numpy as np

from vae_jax.errors import check_range
from vae_jax.evaluation.disentanglement.inputs import Seed, sample_indices, validate_codes

NUM_BINS = 20


def mig_locatello(
    codes: np.ndarray,
    factors: np.ndarray,
    *,
    num_points: int = 10_000,
    num_bins: int = NUM_BINS,
    seed: Seed = 0,
) -> float:
    """Mutual information gap of binned codes, as in disentanglement_lib.

    With I_jk the mutual information of factor k and code j, in `num_bins` bins of equal width over
    its range, H_k the entropy of the factor in the sample, and I_(1)k, I_(2)k the two largest over
    the codes,

        MIG = mean_k (I_(1)k - I_(2)k) / H_k.

    Chen et al., 2018, https://arxiv.org/abs/1802.04942, as estimated by Locatello et al., 2019,
    https://arxiv.org/abs/1811.12359: from posterior means, and over all factors. `mig_chen` is a
    different number. The runner-up of a single code has no information.

    Args:
      codes: [N, D].
      factors: integers [N, F].
      num_points: maximum number of examples, drawn without replacement.
      num_bins: bins of each code.
      seed: seed of the draw.
    """
    codes, factors = _sample(codes, factors, num_points, num_bins, seed)
    return gap(mutual_information(codes, factors, num_bins=num_bins), entropies(factors))


def modularity(
    codes: np.ndarray,
    factors: np.ndarray,
    *,
    num_points: int = 10_000,
    num_bins: int = NUM_BINS,
    seed: Seed = 0,
) -> float:
    """Modularity: how far each code has information on one factor only.

    With I_jk as in `mig_locatello` and m_j = max_k I_jk, of F factors,

        modularity = mean_j [1 - (sum_k I_jk^2 - m_j^2) / (m_j^2 (F - 1))],

    where a code without information counts 0, as in disentanglement_lib. With one factor, an
    informative code counts 1. Ridgeway and Mozer, 2018, https://arxiv.org/abs/1802.05312.
    Arguments, codes [N, D] and factors [N, F], as for `mig_locatello`.
    """
    codes, factors = _sample(codes, factors, num_points, num_bins, seed)
    return modularity_of(mutual_information(codes, factors, num_bins=num_bins))


def mutual_information(
    codes: np.ndarray, factors: np.ndarray, *, num_bins: int = NUM_BINS
) -> np.ndarray:
    """I_jk in nats, [D, F], of binned codes [N, D] and factors [N, F], from counts of all pairs.

    I(a; b) = sum_ab p(a, b) ln(p(a, b) / (p(a) p(b))).
    """
    codes, factors = validate_codes(codes, factors)
    bins = discretize(codes, num_bins)
    return np.array([[_information(code, factor) for factor in factors.T] for code in bins.T])


def entropies(factors: np.ndarray) -> np.ndarray:
    """H_k in nats, [F], of the frequencies of the classes [N, F]."""
    return np.array([_information(factor, factor) for factor in factors.T])


def gap(information: np.ndarray, entropy: np.ndarray) -> float:
    """mean_k (I_(1)k - I_(2)k) / H_k of a table I_jk [D, F] and the entropies [F]."""
    # Padded by a code without information, which never exceeds another one.
    ascending = np.sort(np.pad(information, ((1, 0), (0, 0))), axis=0)
    return float(np.mean((ascending[-1] - ascending[-2]) / entropy))


def modularity_of(information: np.ndarray) -> float:
    """The score of `modularity` from a table I_jk [D, F]."""
    squared = np.square(information)
    top = squared.max(axis=1)
    informative = top > 0
    scale = np.where(informative, top, 1) * max(1, squared.shape[1] - 1)
    rest = (squared.sum(axis=1) - top) / scale
    return float(np.mean(np.where(informative, 1 - rest, 0)))


def discretize(values: np.ndarray, num_bins: int = NUM_BINS) -> np.ndarray:
    """Bins 0..num_bins - 1 of values [N, D], in bins of equal width over the column's range."""
    return np.stack([_bin_column(column, num_bins) for column in values.T], axis=1)


def _sample(
    codes: np.ndarray, factors: np.ndarray, num_points: int, num_bins: int, seed: Seed
) -> tuple[np.ndarray, np.ndarray]:
    check_range("num_points", num_points, 2)
    check_range("num_bins", num_bins, 2)
    codes, factors = validate_codes(codes, factors)
    index = sample_indices(len(codes), num_points, np.random.default_rng(seed))
    return validate_codes(codes[index], factors[index])


def _bin_column(column: np.ndarray, num_bins: int) -> np.ndarray:
    # A value on an edge is in the upper bin, the maximum in the last. Halves avoid overflow of the
    # range.
    edges = 2 * np.linspace(column.min() / 2, column.max() / 2, num_bins + 1)[:-1]
    if edges[0] == column.max():
        return np.zeros(len(column), np.int64)
    return np.maximum(np.searchsorted(edges, column, side="right") - 1, 0)


def _information(a: np.ndarray, b: np.ndarray) -> float:
    size = b.max() + 1
    joint = np.bincount(a * size + b, minlength=(a.max() + 1) * size).reshape(-1, size) / len(a)
    expected = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0)
    occurs = joint > 0
    # For a constant code the sum is a rounding error of either sign.
    total = float(np.sum(joint[occurs] * np.log(joint[occurs] / expected[occurs])))
    return total if total > 1e-14 else 0.0
