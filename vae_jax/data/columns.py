"""Columns of a table: those of zeros and ones, and warnings about what no model can use."""

import logging
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from vae_jax.data.moments import Sums, read_observed, sums_of

logger = logging.getLogger(__name__)

RUINED = 10  # a value is named if the standard deviation without it is smaller by this factor
RESOLVED = 16  # steps of float32 that a standard deviation should have
OTHER_SCALE = 30  # ratio of standard deviations beyond which a split has other units than train
OTHER_MEAN = 10  # standard deviations of train between the means of such a split and of train
MIN_ROWS = 10  # of which the spread is known
SHOWN = 3  # columns named in one warning


class Survey(NamedTuple):
    """A reading of a table, by column."""

    sums: Sums  # all rows
    rest: Sums  # all rows but those of the extreme value
    row: np.ndarray  # [C] of the value that is farthest from the median of the first rows
    value: np.ndarray  # [C]; NaN if none is observed
    times: np.ndarray  # [C] number of rows with this value
    is_bits: np.ndarray  # [C] True if all values are 0 or 1

    @property
    def without_row(self) -> Sums:
        """All rows but the extreme one, or all if several have its value."""
        pairs = zip(self.rest, self.sums, strict=True)
        return Sums(*(np.where(self.times == 1, rest, all_rows) for rest, all_rows in pairs))


def survey_columns(rows: Any, observed: Any = None) -> Survey:
    """Read a table [N, C] once; finite numbers, of which the `observed` count."""
    result = center = None
    start = 0
    for part, mask in read_observed(rows, observed):
        x = part.astype(np.float64)
        if center is None:
            center = _center(x, mask)
        distance = _distance(x if mask is None else np.where(mask, x, np.nan), center)
        extreme, columns = distance.argmax(0), np.arange(x.shape[1])
        value = np.where(distance[extreme, columns] < 0, np.nan, x[extreme, columns])
        is_value = x == value if mask is None else mask & (x == value)
        new = Survey(
            sums_of(x, mask),
            sums_of(x, ~is_value if mask is None else mask & ~is_value),
            start + extreme,
            value,
            is_value.sum(0),
            ((x == 0) | (x == 1)).all(0),
        )
        result = new if result is None else _join(result, new, center)
        start += len(x)
    assert result is not None, "empty splits are rejected earlier"
    return result


def _center(x: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
    """The median of each column of x [N, C]; 0 for a column without observed entries.

    If a third of the rows have this very value, the median of the others, if they are enough.
    """
    center = np.median(x, axis=0) if mask is None else _median(x, mask)
    other = x != center if mask is None else mask & (x != center)
    count = other.sum(0)
    repeated = np.flatnonzero((3 * count < 2 * len(x)) & (count >= MIN_ROWS))
    center[repeated] = _median(x[:, repeated], other[:, repeated])
    return center


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
    return Survey(a.sums + b.sums, rest, row, value, times, a.is_bits & b.is_bits)


def binary_columns(surveys: Mapping[str, Survey]) -> list[int]:
    """The columns that are 0 or 1 in all rows of all splits."""
    is_bits = np.all([survey.is_bits for survey in surveys.values()], axis=0)
    return [int(column) for column in np.flatnonzero(is_bits)]


class Wording(NamedTuple):
    """The names of splits, rows and columns in warnings."""

    split: Callable[[str], str] = "{}_images".format
    row: Callable[[str, int], str] = lambda split, row: f"row {row}"
    column: Callable[[int], str] = str  # after the word 'column'


WORDING = Wording()


def warn_columns(surveys: Mapping[str, Survey], name: str, wording: Wording = WORDING) -> None:
    """Warn about constant columns of train, extreme values, and columns too fine for float32.

    And about a far value of several rows, and about columns whose units in another split are not
    those of train.

    Args:
      surveys: of the rows of each split, with the numbers of rows that their owner knows.
      name: name of the data set.
      wording: the names of splits, rows and columns.
    """
    for split, survey in surveys.items():
        where = f"{name}: {wording.split(split)}"
        spread = survey.sums.stddev
        step = np.spacing(np.abs(survey.sums.mean).astype(np.float32)).astype(np.float64)
        constant = _is_constant(survey.sums)
        if split == "train" and constant.any():
            logger.warning(
                "%s: %s constant, with no information and an unbounded density; remove it",
                where,
                _name_columns(np.flatnonzero(constant), survey.sums.mean, wording),
            )
        ruined = ~constant & (survey.rest.stddev * RUINED < spread) & (survey.rest.count > 1)
        ruined &= survey.times == 1
        for column in np.flatnonzero(ruined)[:SHOWN]:
            logger.warning(
                "%s: %s, column %s is %g, and the standard deviation of the column is %.3g with it "
                "and %.3g without; correct it, or remove the row",
                where,
                wording.row(split, int(survey.row[column])),
                *(wording.column(column), survey.value[column]),
                *(spread[column], survey.rest.stddev[column]),
            )
        coarse = ~constant & ~ruined & (spread < RESOLVED * step)
        for column in np.flatnonzero(coarse)[:SHOWN]:
            logger.warning(
                "%s: column %s has values around %g with a standard deviation of %.3g, and float32 "
                "has steps of %g there; subtract its mean first",
                where,
                *(wording.column(column), survey.sums.mean[column], spread[column], step[column]),
            )
        if split != "train" and "train" in surveys:
            _warn_of_units(survey, surveys["train"], where, wording)
    warn_marks(surveys, name, wording)


def _is_constant(sums: Sums) -> np.ndarray:
    """[C], True if the values of a column are equal up to the rounding of float32."""
    step = np.spacing(np.abs(sums.mean).astype(np.float32)).astype(np.float64)
    return sums.stddev <= 1e-3 * step


def warn_marks(surveys: Mapping[str, Survey], name: str, wording: Wording = WORDING) -> None:
    """Warn about a value far from all others that several rows have, such as -999.

    Of each split the first such column is named; arguments as for `warn_columns`.
    """
    for split, survey in surveys.items():
        is_far = survey.rest.stddev * RUINED < survey.sums.stddev
        is_mark = is_far & (survey.times > 1) & (survey.rest.count > 1)
        marked = np.flatnonzero(is_mark & ~_is_constant(survey.rest))
        if not len(marked):
            continue
        column, more = marked[0], len(marked) - 1
        logger.warning(
            "%s: %s: column %s%s has the value %g in %d rows, and the standard deviation of the "
            "column is %.3g with them and %.3g without; if it marks missing values, leave them "
            "empty, as NaN, and set missing = True",
            *(name, wording.split(split), wording.column(column)),
            f", like {more} other column{'s' * (more > 1)}," if more else "",
            *(survey.value[column], survey.times[column]),
            *(survey.sums.stddev[column], survey.rest.stddev[column]),
        )


def _warn_of_units(survey: Survey, train: Survey, where: str, wording: Wording) -> None:
    """Warn about columns whose mean or spread, without the extreme row, is far from train's.

    Of a few rows only about those that are far larger than the spread of train.
    """
    own, others = survey.without_row, train.without_row
    pairs = zip(own, survey.sums, strict=True)
    count, mean, squares = (np.where(own.count > 1, rest, every) for rest, every in pairs)
    spread = Sums(count, mean, squares).stddev
    train_mean, train_spread = others.mean, others.stddev
    distance = np.abs(mean - train_mean)
    other = (spread > OTHER_SCALE * train_spread) | (OTHER_SCALE * spread < train_spread)
    other |= distance > OTHER_MEAN * np.maximum(train_spread, spread)
    other &= ~_is_constant(survey.sums)
    is_far = np.maximum(distance, spread) > OTHER_SCALE * train_spread
    other = np.where(count >= MIN_ROWS, other, is_far)
    other &= (others.count >= MIN_ROWS) & ~_is_constant(train.sums)
    for column in np.flatnonzero(other)[:SHOWN]:
        logger.warning(
            "%s: column %s has mean %.3g and standard deviation %.3g, in train %.3g and %.3g; the "
            "splits must have the same units",
            where,
            *(
                wording.column(column),
                mean[column],
                spread[column],
                train_mean[column],
                train_spread[column],
            ),
        )


def _name_columns(columns: np.ndarray, mean: np.ndarray, wording: Wording) -> str:
    """The columns with their values: 'column 3 (0.5) is', or 'columns 0 (1), 3 (0.5) are'."""
    names = ", ".join(f"{wording.column(column)} ({mean[column]:g})" for column in columns[:SHOWN])
    more = f" and {len(columns) - SHOWN} more" if len(columns) > SHOWN else ""
    return f"column {names} is" if len(columns) == 1 else f"columns {names}{more} are"
