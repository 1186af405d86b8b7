"""Bins of the values of a column, and the shares of values in them and beyond them."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from vae_jax.evaluation.table_columns import COUNT, ORDINAL, NamedColumn

MIN_BINS, MAX_BINS = 6, 30
TAIL, STRETCH = 0.05, 2.0  # share of the values in a tail, and its length without a cut
INNER = 0.005  # share of other values at each end that need not be covered
MAX_BARS = 12  # categories with a bar
MAX_INTEGER = 2.0**52  # larger integers have no bin of their own in float64
OTHER = "other"


class Shares(NamedTuple):
    """The shares of values [N] in bins, and beyond them; together 1."""

    inside: np.ndarray  # [bins]
    below: float
    above: float
    neither: float  # NaN

    @property
    def all(self) -> np.ndarray:
        """[bins + 3]."""
        return np.append(self.inside, [self.below, self.above, self.neither])


def bin_edges(
    values: np.ndarray, others: np.ndarray | None = None, *, form: str = ""
) -> np.ndarray:
    """Edges of at most `MAX_BINS` bins that cover values [N], ascending.

    A tail is cut off `STRETCH` w below the 5% quantile, or above the 95% quantile, w being the
    distance of these quantiles. Bins of counts, and of values that are all integers, have the same
    number of integers each. Of constant values the bins cover the inner values of `others`, too.

    Args:
      values: [N]; values that are not finite are ignored.
      others: values to compare with.
      form: of the column, see `evaluation.table_columns`.
    """
    values = values[np.isfinite(values)]
    others = np.zeros(0) if others is None else others[np.isfinite(others)]
    num_values = len(values)
    if not len(values) or np.ptp(values) == 0:
        inner = np.quantile(others, [INNER, 1 - INNER]) if others.size else []
        values = np.concatenate([values, inner])
    if not len(values):
        return np.array([-0.5, 0.5])
    low, high = _limits(values)
    num_bins = int(np.clip(math.ceil(2 * num_values ** (1 / 3)), MIN_BINS, MAX_BINS))
    is_exact = max(abs(low), abs(high)) < MAX_INTEGER
    if is_exact and (form == COUNT or (values == np.round(values)).all()):
        low, high = np.floor(low), np.ceil(high)
        num_integers = high - low + 1
        step = 1.0 if num_integers <= MAX_BINS else np.ceil(num_integers / num_bins)
        return low - 0.5 + step * np.arange(np.ceil(num_integers / step) + 1)
    least = 1e-6 * max(abs(low), abs(high), 1e-30)
    if high - low < least:
        low, high = low - least / 2, high + least / 2
    return np.linspace(low, high, num_bins + 1)


def _limits(values: np.ndarray) -> tuple[float, float]:
    """Smallest and largest value, without a long tail."""
    low, high = float(values.min()), float(values.max())
    first, last = np.quantile(values, [TAIL, 1 - TAIL])
    margin = STRETCH * float(last - first)
    if margin > 0:
        low = max(low, float(first) - margin)
        high = min(high, float(last) + margin)
    return low, high


def count_values(values: np.ndarray, edges: np.ndarray) -> Shares:
    """The shares of values [N] in the bins between edges, and of the values beyond."""
    total = max(len(values), 1)
    return Shares(
        np.histogram(values[np.isfinite(values)], edges)[0] / total,
        float(np.sum(values < edges[0])) / total,
        float(np.sum(values > edges[-1])) / total,
        float(np.sum(np.isnan(values))) / total,
    )


class Bars(NamedTuple):
    """Categories with a bar each; less frequent ones share the last."""

    texts: tuple[str, ...]
    codes: tuple[tuple[int, ...], ...]  # codes of each bar

    def measure(self, values: np.ndarray) -> Shares:
        """The share of values [N] in each bar, and of values that are no code."""
        total = max(len(values), 1)
        shares = [float(np.isin(values, codes).sum()) / total for codes in self.codes]
        unknown = max(0.0, 1.0 - sum(shares)) if len(values) else 0.0
        return Shares(np.array(shares), 0.0, 0.0, unknown if unknown > 1e-9 else 0.0)

    def places(self, values: np.ndarray) -> np.ndarray:
        """The number [N] of the bar of each value, -1 for values that are no code."""
        places = np.full(len(values), -1)
        for place, codes in enumerate(self.codes):
            places[np.isin(values, codes)] = place
        return places


def has_bars(column: NamedColumn) -> bool:
    """True for categories and booleans, and for ordinals of few levels."""
    is_long = column.form == ORDINAL and len(column.categories) > MAX_BARS
    return column.is_discrete and not is_long


def make_bars(column: NamedColumn, groups: Sequence[np.ndarray]) -> Bars:
    """The bars of a column: all categories in order, or the most frequent ones and the rest.

    Args:
      column: with its categories.
      groups: values [N]; the first of them that has any decides which categories are frequent.
    """
    num = len(column.categories)
    if num <= MAX_BARS:
        return Bars(column.categories, tuple((code,) for code in range(num)))
    values = next((values for values in groups if len(values)), np.zeros(0))
    frequency = [np.sum(values == code) for code in range(num)]
    first = sorted(np.argsort(frequency, kind="stable")[::-1][: MAX_BARS - 1].tolist())
    rest = tuple(code for code in range(num) if code not in first)
    texts = tuple(column.categories[code] for code in first)
    return Bars((*texts, f"{OTHER} ({len(rest)})"), (*((code,) for code in first), rest))
