"""Scores from batches in which one factor is held fixed: which one it is must show in the codes.

The examples are drawn among those given, by the value of their factors: give a population in which each value occurs many
times, a large random one or the whole grid. In disentanglement_lib they are made anew each time, which is the same up to the
chance of drawing one example twice.
"""

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier

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
    """BetaVAE score: the accuracy of a linear classifier that tells which factor was shared.

    A point is made from L = `num_pairs` pairs of examples that have the same value of factor k, k random:

        x = mean_l |z_l1 - z_l2|, [D];    score = P(classifier(x) = k) on points of its own.

    Higgins et al., 2017, https://openreview.net/forum?id=Sy2fzU9gl. As in disentanglement_lib: scikit-learn's logistic
    regression, one factor against the rest, the default at the time of Locatello et al., 2019.

    Args:
      codes: [N, D], a population, see the top of the file.
      factors: integers [N, F]; each value at least twice.
      num_pairs: L.
      num_train: points the classifier is fitted to.
      num_eval: points it is scored on.
      seed: of all draws.
    """
    _check_counts(num_train, num_eval, num_pairs)
    codes, factors = validate_codes(codes, factors, per_value=2)
    if factors.shape[1] == 1:
        return 1.0  # there is nothing else to answer
    rng, by_value = np.random.default_rng(seed), ByValue.of(factors)
    x, y = _difference_points(codes, by_value, num_train + num_eval, num_pairs, rng)
    if len(np.unique(y[:num_train])) == 1:
        return float(np.mean(y[num_train:] == y[0]))
    classifier = OneVsRestClassifier(LogisticRegression(max_iter=1000)).fit(
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
    """FactorVAE score: the accuracy of the majority vote of the code that varies least.

    A vote is made from a batch of examples that have one value of factor k, k random: with s_j^2 the variance of code j over
    the population,

        d = argmin_j Var_batch[z_j] / s_j^2,    V_dk = number of votes for (d, k),

    and the score is the share of votes of their own, (d, k), in which k = argmax_k' V_dk'. Kim and Mnih, 2018,
    https://arxiv.org/abs/1802.05983. As in disentanglement_lib, codes of a standard deviation s_j below `min_stddev` have no
    vote (its threshold 0.05 is of s_j, not of s_j^2), and the score is 0 where none is left.

    Args:
      codes: [N, D], a population, see the top of the file.
      factors: integers [N, F]; each value at least twice.
      batch_size: examples for each vote.
      num_train: votes that are counted in V.
      num_eval: votes that are scored.
      min_stddev: below which a code is left out; a constant code always is.
      seed: of all draws.
    """
    _check_counts(num_train, num_eval, batch_size)
    codes, factors = validate_codes(codes, factors, per_value=2)
    stddev = codes.std(axis=0, ddof=1)
    active = (stddev >= min_stddev) & (np.ptp(codes, axis=0) > 0)
    if not active.any():
        return 0.0
    rng, by_value = np.random.default_rng(seed), ByValue.of(factors)
    codes = (codes - codes.mean(axis=0))[:, active] / stddev[active]
    d, k = _votes(codes, by_value, num_train + num_eval, batch_size, rng)
    counts = np.zeros((codes.shape[1], factors.shape[1]), np.int64)
    np.add.at(counts, (d[:num_train], k[:num_train]), 1)
    return float(np.mean(counts.argmax(axis=1)[d[num_train:]] == k[num_train:]))


def _difference_points(
    codes: np.ndarray, by_value: ByValue, num: int, num_pairs: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Points x [num, D] and the factors y [num] that were shared in them."""
    n, num_factors = by_value.factors.shape
    y = rng.integers(num_factors, size=num)
    x = np.empty((num, codes.shape[1]))
    for begin in range(0, num, _CHUNK):
        shared = y[begin : begin + _CHUNK, None]
        first = rng.integers(n, size=(len(shared), num_pairs))
        second = by_value.alike(first, shared, rng)
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
        one = np.broadcast_to(rng.integers(n, size=(len(fixed), 1)), (len(fixed), batch_size))
        d[begin : begin + _CHUNK] = (
            codes[by_value.alike(one, fixed, rng)].var(axis=1).argmin(axis=1)
        )
    return d, k


def _check_counts(num_train: int, num_eval: int, batch_size: int) -> None:
    check_range("num_train", num_train, 1)
    check_range("num_eval", num_eval, 1)
    check_range("number of examples in a batch", batch_size, 1)
