"""Shared by the metrics: estimates with standard errors, and validation of arrays."""

import math
from typing import Any, NamedTuple

import numpy as np

from vae_jax.errors import InputError, format_value

HUGE = 1e9  # nats


class Estimate(NamedTuple):
    """A number and its standard error, NaN if unknown."""

    value: float
    stderr: float


def choose_examples(num_examples: int, limit: int) -> np.ndarray:
    """At most `limit` [M] of the examples 0..N - 1, ascending: random, always the same.

    Neighbors, or examples at equal distances, would be alike in sorted data.
    """
    if num_examples <= limit:
        return np.arange(num_examples)
    return np.sort(np.random.default_rng(0).permutation(num_examples)[:limit])


def mean_estimate(values: np.ndarray) -> Estimate:
    """The mean of independent values [N], with s / sqrt(N), which is NaN for one value."""
    return Estimate(float(np.mean(values, dtype=np.float64)), float(standard_error(values)))


def finite_estimate(values: np.ndarray) -> tuple[Estimate, int]:
    """The estimate of the mean over the finite values [N], and the number of excluded values.

    Over all values, and 0, if none is finite: then it is not finite either.
    """
    finite = np.isfinite(values)
    if finite.all() or not finite.any():
        return mean_estimate(values), 0
    return mean_estimate(values[finite]), int(np.sum(~finite))


def standard_error(values: np.ndarray) -> np.ndarray:
    """The standard error s / sqrt(N) of the mean over the first axis of values [N, ...]."""
    if len(values) < 2:
        return np.full(np.shape(values)[1:], math.nan)
    with np.errstate(invalid="ignore"):  # infinite values of a diverged run
        return np.std(values, axis=0, dtype=np.float64, ddof=1) / math.sqrt(len(values))


def ratio_estimate(sums: np.ndarray, counts: np.ndarray) -> Estimate:
    """The ratio R = sum_i a_i / sum_i n_i of sums a [N] over n [N] entries each.

    The standard error over the N rows is by the delta method:
    sqrt(N / (N - 1) sum_i (a_i - R n_i)^2) / sum_i n_i. NaN for one row, or without any entry.
    """
    sums = np.asarray(sums, np.float64)
    total, number = int(counts.sum()), len(counts)
    if not total:
        return Estimate(math.nan, math.nan)
    ratio = float(sums.sum() / total)
    if number < 2:
        return Estimate(ratio, math.nan)
    scatter = np.square(sums - ratio * counts).sum() * number / (number - 1)
    return Estimate(ratio, math.sqrt(scatter) / total)


def bits_per_token(log_px: np.ndarray, num_tokens: np.ndarray) -> Estimate:
    """Bits per token of log-densities [N] in nats: -sum log p / (ln 2 * sum of tokens).

    The standard error over examples is that of a ratio of sums; long sequences count more than
    in a mean of ratios.
    """
    ratio = ratio_estimate(-np.asarray(log_px, np.float64), num_tokens)
    return Estimate(ratio.value / math.log(2), ratio.stderr / math.log(2))


def share_estimate(hits: np.ndarray) -> Estimate:
    """The share a of true values in hits [N], with its binomial error sqrt(a (1 - a) / N).

    For a share of 0 or 1 that is 0, as if few hits were certain. Its error is half the width of
    Wilson's interval of one standard error instead, 1 / (2 (N + 1)) (Wilson, 1927,
    doi:10.1080/01621459.1927.10502953).

    >>> share_estimate(np.array([True, True, True]))
    Estimate(value=1.0, stderr=0.125)
    """
    share, number = float(np.mean(hits)), len(hits)
    if share in (0.0, 1.0):
        return Estimate(share, 0.5 / (number + 1))
    return Estimate(share, math.sqrt(share * (1 - share) / number))


def accuracy_estimate(predicted: np.ndarray, labels: np.ndarray) -> Estimate:
    """The share of predictions [N] that equal labels [N], with its error of `share_estimate`."""
    return share_estimate(predicted == labels)


def matrix(field: str, values: Any, *, min_length: int = 1) -> np.ndarray:
    """The values as float64 [N, F].

    Raises InputError if they are not finite numbers on two axes, or N < `min_length`.
    """
    rows = _numbers(field, values)
    if rows.ndim != 2 or len(rows) < min_length or not rows.shape[1]:
        raise InputError(
            f"{field}: has shape {rows.shape}; must be [N, F] with N at least {min_length} "
            "and F at least 1"
        )
    _check_finite(field, rows)
    return rows


def vector(field: str, values: Any, *, infinite: bool = False) -> np.ndarray:
    """The values as float64 [N].

    Raises InputError if they are not numbers on one axis, there are none, or a value is not finite
    (NaN, if `infinite` values are allowed).
    """
    row = _numbers(field, values)
    if row.ndim != 1 or not len(row):
        raise InputError(f"{field}: has shape {row.shape}; must be [N] with N at least 1")
    _check_finite(field, row, infinite=infinite)
    return row


def labels(field: str, values: Any, length: int) -> np.ndarray:
    """Classes [N] of any type, one for each of `length` examples; raises InputError otherwise."""
    classes = np.asarray(values)
    if classes.ndim != 1 or len(classes) != length:
        raise InputError(
            f"{field}: has shape {classes.shape}; must be [{length}], a class for each example"
        )
    if classes.dtype.kind in "biuSU":
        return classes
    if not np.array_equal(classes, np.round(_numbers(field, classes))):
        raise InputError(
            f"{field}: holds {format_value(classes.tolist()[0])}; classes must be integers or names"
        )
    return classes


def check_same(field: str, actual: object, other: str, expected: object) -> None:
    """Raises InputError unless `field` and `other` agree in a property, such as the shape."""
    if actual != expected:
        raise InputError(
            f"{field} = {format_value(actual)}: must match {other}, {format_value(expected)}"
        )


def _numbers(field: str, values: Any) -> np.ndarray:
    try:
        return np.asarray(values, np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"{field} = {format_value(values)}: must be an array of numbers ({error})"
        ) from error


def _check_finite(field: str, values: np.ndarray, *, infinite: bool = False) -> None:
    bad = np.isnan(values) if infinite else ~np.isfinite(values)
    if bad.any():
        place = [int(i) for i in np.argwhere(bad)[0]]
        allowed = "not be NaN" if infinite else "be finite"
        raise InputError(
            f"{field}: is {values[tuple(place)]} at {place}, one of {int(bad.sum())} such; "
            f"must {allowed}"
        )


def format_nats(value: float) -> str:
    """A number of nats for readers, with two decimals; a huge one in short.

    >>> format_nats(-101.026), format_nats(-2.0e29)
    ('-101.03', '-2e+29')
    """
    return f"{value:.2f}" if not abs(value) >= HUGE else f"{value:.4g}"
