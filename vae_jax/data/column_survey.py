"""Survey of a table by column: sums, extreme and common values, and columns of zeros and ones."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from vae_jax.data.moments import Sums, read_observed, sums_of

MIN_ROWS = 10  # of which the spread is known
SAMPLE = 2000  # rows that give the center of a column


class Survey(NamedTuple):
    """A reading of a table, by column."""

    sums: Sums  # all rows
    rest: Sums  # all rows but those of the extreme value
    varied: Sums  # the rest without the rows of the common value
    common: np.ndarray  # [C] median, if a third of the first rows have it; NaN otherwise
    row: np.ndarray  # [C] of the value that is farthest from the median of the first rows
    value: np.ndarray  # [C]; NaN if none is observed
    times: np.ndarray  # [C] number of rows with this value
    is_bits: np.ndarray  # [C] True if all values are 0 or 1

    @property
    def is_rare(self) -> np.ndarray:
        """[C], True if a few rows alone have neither the common nor the extreme value."""
        return ~np.isnan(self.origin) & (self.varied.count < MIN_ROWS)

    @property
    def origin(self) -> np.ndarray:
        """The common value, [C]; NaN if there is none, or if it is the extreme one."""
        return np.where(self.value == self.common, np.nan, self.common)

    def size(self, origin: Any) -> np.ndarray:
        """Root mean square distance [C] of the varied values from an origin; 0 without any."""
        size = np.hypot(self.varied.mean - origin, self.varied.stddev)
        return np.where(self.varied.count > 0, size, 0.0)

    def reach(self, origin: Any) -> np.ndarray:
        """Distance [C] of the extreme value from an origin, or the size if it is larger."""
        return np.fmax(np.abs(self.value - origin), self.size(origin))


def survey_columns(rows: Any, observed: Any = None) -> Survey:
    """Read a table [N, C] once; finite numbers, of which the `observed` count."""
    result = center = common = None
    start = 0
    for part, mask in read_observed(rows, observed):
        x = part.astype(np.float64)
        if center is None or common is None:
            center, common = _center(x, mask)
        distance = _distance(x if mask is None else np.where(mask, x, np.nan), center)
        extreme, columns = distance.argmax(0), np.arange(x.shape[1])
        value = np.where(distance[extreme, columns] < 0, np.nan, x[extreme, columns])
        is_value = x == value if mask is None else mask & (x == value)
        is_rest = ~is_value if mask is None else mask & ~is_value
        new = Survey(
            sums_of(x, mask),
            sums_of(x, is_rest),
            sums_of(x, is_rest & (x != common)),
            common,
            start + extreme,
            value,
            is_value.sum(0),
            ((x == 0) | (x == 1)).all(0),
        )
        result = new if result is None else _join(result, new, center)
        start += len(x)
    assert result is not None, "empty splits are rejected earlier"
    return result


def _center(x: np.ndarray, mask: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Center and common value of each column of x [N, C], from SAMPLE of the rows.

    The center is the median, 0 for a column without observed entries; if a third of the rows have
    this very value, which is the common one, the median of the others, if they are enough.
    """
    step = -(-len(x) // SAMPLE)
    x, mask = x[::step], None if mask is None else mask[::step]
    center = np.median(x, axis=0) if mask is None else _median(x, mask)
    other = x != center if mask is None else mask & (x != center)
    count, rows = other.sum(0), len(x) if mask is None else mask.sum(0)
    is_common = 3 * count < 2 * rows
    common = np.where(is_common, center, np.nan)
    repeated = np.flatnonzero(is_common & (count >= MIN_ROWS))
    center[repeated] = _median(x[:, repeated], other[:, repeated])
    return center, common


def _median(x: np.ndarray, mask: np.ndarray) -> np.ndarray:
    masked = np.ma.median(np.ma.array(x, mask=~mask), axis=0)
    return np.ma.filled(masked.astype(np.float64), 0.0)


def _distance(value: np.ndarray, center: np.ndarray) -> np.ndarray:
    """Distances of values from the centers of their columns; -1 for missing ones, which are NaN."""
    return np.where(np.isnan(value), -1.0, np.abs(value - center))


def _join(a: Survey, b: Survey, center: np.ndarray) -> Survey:
    """The survey of two parts of a table; the lesser extreme joins the other rows."""
    is_b = _distance(b.value, center) > _distance(a.value, center)
    lesser = np.where(is_b, a.value, b.value)
    lesser_times = np.where(is_b, a.times, b.times)
    row, value = np.where(is_b, b.row, a.row), np.where(is_b, b.value, a.value)
    times = np.where(is_b, b.times, a.times)
    is_same = a.value == b.value
    times = np.where(is_same, a.times + b.times, times)
    is_lesser = ~is_same & ~np.isnan(lesser)
    joining = Sums(lesser_times * is_lesser, np.where(is_lesser, lesser, 0), np.zeros_like(lesser))
    rest = a.rest + b.rest + joining
    joining = joining._replace(count=joining.count * (lesser != a.common))
    varied = a.varied + b.varied + joining
    sums, is_bits = a.sums + b.sums, a.is_bits & b.is_bits
    return Survey(sums, rest, varied, a.common, row, value, times, is_bits)


def binary_columns(surveys: Mapping[str, Survey]) -> list[int]:
    """The columns that are 0 or 1 in all rows of all splits."""
    is_bits = np.all([survey.is_bits for survey in surveys.values()], axis=0)
    return [int(column) for column in np.flatnonzero(is_bits)]
