"""Scores from batches with one fixed factor, which the codes must reveal.

Batches are drawn from the given examples by the values of their factors. Use a population in which
each value occurs many times: a large random one, or the whole grid. disentanglement_lib generates
new examples each time, which is equivalent except for the chance of drawing one example twice.
"""

import numpy as np

from vae_jax.errors import check_range
from vae_jax.evaluation.disentanglement.inputs import ByValue, Seed, validate_codes

_CHUNK = 500  # batches at a time, for memory


def beta_vae_score(
    codes: np.ndarray,
    factors: np.ndarray,
    *,
    num_pairs: int = 64,
    num_train: int = 10_000,
    num_eval: int = 5_000,
    seed: Seed = 0,
) -> float:
    """BetaVAE score: the accuracy of a linear classifier that predicts the shared factor.

    A point is computed from L = `num_pairs` pairs of examples with the same value of a random
    factor k:

        x = mean_l |z_l1 - z_l2|, [D];    score = P(classifier(x) = k) on separate points.

    Higgins et al., 2017, https://openreview.net/forum?id=Sy2fzU9gl. As in disentanglement_lib, with
    scikit-learn's one-vs-rest logistic regression by liblinear, the default at the time of
    Locatello et al., 2019; it penalizes the bias too.

    Args:
      codes: [N, D], a population, see the module docstring.
      factors: integers [N, F]; each value at least twice.
      num_pairs: L.
      num_train: points to fit the classifier to.
      num_eval: points to score it on.
      seed: seed of all draws.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.multiclass import OneVsRestClassifier

    _check_counts(num_train, num_eval, num_pairs)
    codes, factors = validate_codes(codes, factors, per_value=2)
    if factors.shape[1] == 1:
        return 1.0  # the only answer is correct
    rng, by_value = np.random.default_rng(seed), ByValue.from_factors(factors)
    x, y = _difference_points(codes, by_value, num_train + num_eval, num_pairs, rng)
    if len(np.unique(y[:num_train])) == 1:
        return float(np.mean(y[num_train:] == y[0]))
    classifier = OneVsRestClassifier(LogisticRegression(solver="liblinear", max_iter=1000)).fit(
        x[:num_train], y[:num_train]
    )
    return float(classifier.score(x[num_train:], y[num_train:]))


def factor_vae_score(
    codes: np.ndarray,
    factors: np.ndarray,
    *,
    batch_size: int = 64,
    num_train: int = 10_000,
    num_eval: int = 5_000,
    min_stddev: float = 0.05,
    seed: Seed = 0,
) -> float:
    """FactorVAE score: the accuracy of a majority vote by the code that varies least.

    A vote comes from a batch of examples with the same value of a random factor k. With s_j^2 the
    variance of code j over the population,

        d = argmin_j Var_batch[z_j] / s_j^2,    V_dk = number of votes for (d, k),

    and the score is the share of separate votes (d, k) with k = argmax_k' V_dk'. Kim and Mnih,
    2018, https://arxiv.org/abs/1802.05983. As in disentanglement_lib, codes with a standard
    deviation s_j below `min_stddev` are ignored (the threshold 0.05 applies to s_j, not s_j^2), and
    the score is 0 if none remain.

    Args:
      codes: [N, D], a population, see the module docstring.
      factors: integers [N, F]; each value at least twice.
      batch_size: examples for each vote.
      num_train: votes that are counted in V.
      num_eval: votes that are scored.
      min_stddev: codes below it are ignored; constant codes always are.
      seed: seed of all draws.
    """
    _check_counts(num_train, num_eval, batch_size)
    codes, factors = validate_codes(codes, factors, per_value=2)
    stddev = codes.std(axis=0, ddof=1)
    active = (stddev >= min_stddev) & (np.ptp(codes, axis=0) > 0)
    if not active.any():
        return 0.0
    rng, by_value = np.random.default_rng(seed), ByValue.from_factors(factors)
    codes = (codes - codes.mean(axis=0))[:, active] / stddev[active]
    d, k = _votes(codes, by_value, num_train + num_eval, batch_size, rng)
    counts = np.zeros((codes.shape[1], factors.shape[1]), np.int64)
    np.add.at(counts, (d[:num_train], k[:num_train]), 1)
    return float(np.mean(counts.argmax(axis=1)[d[num_train:]] == k[num_train:]))


def _difference_points(
    codes: np.ndarray, by_value: ByValue, num: int, num_pairs: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Points x [num, D] and their shared factors y [num]."""
    n, num_factors = by_value.factors.shape
    y = rng.integers(num_factors, size=num)
    x = np.empty((num, codes.shape[1]))
    for begin in range(0, num, _CHUNK):
        shared = y[begin : begin + _CHUNK, None]
        first = rng.integers(n, size=(len(shared), num_pairs))
        second = by_value.sample_alike(first, shared, rng)
        x[begin : begin + _CHUNK] = np.abs(codes[first] - codes[second]).mean(axis=1)
    return x, y


def _votes(
    codes: np.ndarray, by_value: ByValue, num: int, batch_size: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """The code d [num] that varied least and the factor k [num] that was fixed."""
    n, num_factors = by_value.factors.shape
    k = rng.integers(num_factors, size=num)
    d = np.empty(num, np.int64)
    for begin in range(0, num, _CHUNK):
        fixed = k[begin : begin + _CHUNK, None]
        first = np.broadcast_to(rng.integers(n, size=(len(fixed), 1)), (len(fixed), batch_size))
        batch = codes[by_value.sample_alike(first, fixed, rng)]
        d[begin : begin + _CHUNK] = batch.var(axis=1).argmin(axis=1)
    return d, k


def _check_counts(num_train: int, num_eval: int, batch_size: int) -> None:
    check_range("num_train", num_train, 1)
    check_range("num_eval", num_eval, 1)
    check_range("number of examples in a batch", batch_size, 1)
