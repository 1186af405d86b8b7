"""Mutual information of codes in bins with factors, and the scores made from it: MIG of Locatello et al. and modularity."""

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
    """Mutual information gap of codes in bins, of disentanglement_lib.

    With I_jk the mutual information of code j, in `num_bins` bins of equal width between its least and its greatest value,
    and factor k, H_k the entropy of the factor in the sample, and I_(1)k, I_(2)k the two greatest over the codes,

        MIG = mean_k (I_(1)k - I_(2)k) / H_k.

    Chen et al., 2018, https://arxiv.org/abs/1802.04942, as estimated by Locatello et al., 2019,
    https://arxiv.org/abs/1811.12359: from posterior means, and over all factors. `mig_chen` is another number. A lone code
    has a constant one for its runner-up, with no information.

    Args:
      codes: [N, D].
      factors: integers [N, F].
      num_points: examples drawn, without replacement; all where there are fewer.
      num_bins: of each code.
      seed: of the draw.
    """
    codes, factors = _sampled(codes, factors, num_points, num_bins, seed)
    return gap(mutual_information(codes, factors, num_bins=num_bins), entropies(factors))


def modularity(
    codes: np.ndarray,
    factors: np.ndarray,
    *,
    num_points: int = 10_000,
    num_bins: int = NUM_BINS,
    seed: Seed = 0,
) -> float:
    """Modularity: whether each code has information on one factor only.

    With I_jk as in `mig_locatello` and m_j = max_k I_jk, of F factors,

        modularity = mean_j [1 - (sum_k I_jk^2 - m_j^2) / (m_j^2 (F - 1))],

    where a code without any information counts 0, as in disentanglement_lib. With one factor an informative code counts 1.
    Ridgeway and Mozer, 2018, https://arxiv.org/abs/1802.05312. Arguments as of `mig_locatello`.
    """
    codes, factors = _sampled(codes, factors, num_points, num_bins, seed)
    return modularity_of(mutual_information(codes, factors, num_bins=num_bins))


def mutual_information(
    codes: np.ndarray, factors: np.ndarray, *, num_bins: int = NUM_BINS
) -> np.ndarray:
    """I_jk in nats, [D, F], of the codes [N, D] in bins and the factors [N, F], from the counts of each pair of values.

    I(a; b) = sum_ab p(a, b) ln(p(a, b) / (p(a) p(b))).
    """
    codes, factors = validate_codes(codes, factors)
    return np.array(
        [
            [_information(code, factor) for factor in factors.T]
            for code in discretize(codes, num_bins).T
        ]
    )


def entropies(factors: np.ndarray) -> np.ndarray:
    """H_k in nats, [F], of the classes [N, F] as often as they occur."""
    return np.array([_information(factor, factor) for factor in factors.T])


def gap(information: np.ndarray, entropy: np.ndarray) -> float:
    """mean_k (I_(1)k - I_(2)k) / H_k of a table I_jk [D, F] and the entropies [F]."""
    ascending = np.sort(
        np.pad(information, ((1, 0), (0, 0))), axis=0
    )  # information is not negative: 0 is never above a code
    return float(np.mean((ascending[-1] - ascending[-2]) / entropy))


def modularity_of(information: np.ndarray) -> float:
    """The score of `modularity` from a table I_jk [D, F]."""
    squared = np.square(information)
    most = squared.max(axis=1)
    informative = most > 0
    rest = (squared.sum(axis=1) - most) / (
        np.where(informative, most, 1) * max(1, squared.shape[1] - 1)
    )
    return float(np.mean(np.where(informative, 1 - rest, 0)))


def discretize(values: np.ndarray, num_bins: int = NUM_BINS) -> np.ndarray:
    """The bin 0..num_bins - 1 of each value [N, D], in bins of equal width between the least and the greatest of its column."""
    return np.stack([_binned(column, num_bins) for column in values.T], axis=1)


def _sampled(
    codes: np.ndarray, factors: np.ndarray, num_points: int, num_bins: int, seed: Seed
) -> tuple[np.ndarray, np.ndarray]:
    check_range("num_points", num_points, 2)
    check_range("num_bins", num_bins, 2)
    codes, factors = validate_codes(codes, factors)
    which = sample_indices(len(codes), num_points, np.random.default_rng(seed))
    return validate_codes(codes[which], factors[which])


def _binned(column: np.ndarray, num_bins: int) -> np.ndarray:
    # A value on an edge is in the upper bin, the greatest in the last. Halves keep a range beyond float64 finite.
    edges = 2 * np.linspace(column.min() / 2, column.max() / 2, num_bins + 1)[:-1]
    if edges[0] == column.max():
        return np.zeros(len(column), np.int64)
    return np.maximum(np.searchsorted(edges, column, side="right") - 1, 0)


def _information(a: np.ndarray, b: np.ndarray) -> float:
    size = b.max() + 1
    joint = np.bincount(a * size + b, minlength=(a.max() + 1) * size).reshape(-1, size) / len(a)
    expected = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0)
    occurs = joint > 0
    # A constant code's sum is a rounding error, on either side of 0.
    total = float(np.sum(joint[occurs] * np.log(joint[occurs] / expected[occurs])))
    return total if total > 1e-14 else 0.0
