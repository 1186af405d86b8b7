"""What the measures of arrays share: an estimate with its standard error, and arrays that are checked."""

import math
from typing import Any, NamedTuple

import numpy as np

from vae_jax.errors import InputError, format_value


class Estimate(NamedTuple):
    """A number and its standard error, NaN where there is none."""

    value: float
    stderr: float


def mean_estimate(values: np.ndarray) -> Estimate:
    """The mean of values [N] taken as independent, with s / sqrt(N); one value has no standard error."""
    stderr = (
        np.std(values, dtype=np.float64, ddof=1) / math.sqrt(len(values))
        if len(values) > 1
        else math.nan
    )
    return Estimate(float(np.mean(values, dtype=np.float64)), float(stderr))


def accuracy_estimate(predicted: np.ndarray, labels: np.ndarray) -> Estimate:
    """The share a of N examples that are predicted right, with sqrt(a (1 - a) / N), which is 0 where a is 0 or 1."""
    share = float(np.mean(predicted == labels))
    return Estimate(share, math.sqrt(share * (1 - share) / len(labels)))


def matrix(field: str, values: Any, *, least: int = 1) -> np.ndarray:
    """The values as float64 [N, F]; InputError unless they are numbers, finite, on two axes, with at least `least` rows."""
    rows = _numbers(field, values)
    if rows.ndim != 2 or len(rows) < least or not rows.shape[1]:
        raise InputError(
            f"{field}: has shape {rows.shape}; must be [N, F] with N at least {least} and F at least 1"
        )
    _check_finite(field, rows)
    return rows


def vector(field: str, values: Any, *, least: int = 1, infinite: bool = False) -> np.ndarray:
    """The values as float64 [N]; InputError where they are not, are fewer than `least`, or not finite (NaN if `infinite`)."""
    row = _numbers(field, values)
    if row.ndim != 1 or len(row) < least:
        raise InputError(f"{field}: has shape {row.shape}; must be [N] with N at least {least}")
    _check_finite(field, row, infinite=infinite)
    return row


def labels(field: str, values: Any, length: int) -> np.ndarray:
    """Classes [N] of any kind, one for each of `length` examples; InputError where they are not."""
    classes = np.asarray(values)
    if classes.ndim != 1 or len(classes) != length:
        raise InputError(
            f"{field}: has shape {classes.shape}; must be [{length}], a class for each example"
        )
    if classes.dtype.kind not in "biuSU" and not np.array_equal(
        classes, np.round(_numbers(field, classes))
    ):
        raise InputError(
            f"{field}: holds {format_value(classes.tolist()[0])}; classes must be whole numbers or names"
        )
    return classes


def check_same(field: str, actual: object, other: str, expected: object) -> None:
    """Raises InputError unless what is said of `field`, such as its shape, is what it is for `other`."""
    if actual != expected:
        raise InputError(
            f"{field} = {format_value(actual)}: must be that of {other}, {format_value(expected)}"
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
            f"{field}: is {values[tuple(place)]} at {place}, one of {int(bad.sum())} such; must {allowed}"
        )
