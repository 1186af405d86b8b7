"""Warnings about columns of a table that no model can use."""

import logging
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from vae_jax.data.column_survey import MIN_ROWS, Survey
from vae_jax.data.moments import Sums

logger = logging.getLogger(__name__)

RUINED = 10  # a value is named if the standard deviation without it is smaller by this factor
CERTAIN = 1e6  # the same of a few rows, two of which are close by chance
RESOLVED = 16  # steps of float32 that a standard deviation should have
OTHER_SCALE = 30  # ratio of standard deviations beyond which a split has other units than train
OTHER_MEAN = 10  # distance of the means of such a split and of train, in the larger of the two
STANDARD_SCALE, STANDARD_MEAN = 3, 1  # the same if one split is standardized and the other is not
SHOWN = 3  # columns named in one warning


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
    limits = _limits(surveys)
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
        ruined = ~constant & _is_extreme(survey, limits[split]) & (survey.times == 1)
        for column in np.flatnonzero(ruined)[:SHOWN]:
            logger.warning(
                "%s: %s, column %s is %g, and the standard deviation of the column is %.3g with it "
                "and %.3g without; if it is an error, correct it, or remove the row",
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
            _warn_of_units(split, surveys, limits, wording, where)
    warn_marks(surveys, name, wording)


def _is_constant(sums: Sums) -> np.ndarray:
    """[C], True if the values of a column are equal up to the rounding of float32."""
    step = np.spacing(np.abs(sums.mean).astype(np.float32)).astype(np.float64)
    return sums.stddev <= 1e-3 * step


def _is_standardized(sums: Sums) -> bool:
    """True if most columns have mean 0 and standard deviation 1, up to the noise of N rows."""
    limit = max(0.01, 4 / np.sqrt(np.max(sums.count)))
    is_standard = (np.abs(sums.mean) < limit) & (np.abs(sums.stddev - 1) < limit)
    varied = ~_is_constant(sums)
    return bool(2 * np.sum(is_standard & varied) > np.sum(varied))


def _limits(surveys: Mapping[str, Survey]) -> dict[str, np.ndarray]:
    """Distances [C] from the common value that a rare value may have, by split.

    No column standardized over N rows exceeds sqrt(N). A rare value may also be as large as those
    of the other columns, and those of train.
    """
    rows = sum(np.max(survey.sums.count) for survey in surveys.values())
    reach = np.max([survey.reach(0.0) for survey in surveys.values()], axis=0)
    largest = np.full_like(reach, reach.max())  # of the other columns
    largest[reach.argmax()] = np.delete(reach, reach.argmax()).max(initial=0.0)
    limit = np.maximum(2 * np.sqrt(rows), RUINED * largest)
    train = surveys.get("train")
    limits = {}
    for split, survey in surveys.items():
        known = np.zeros_like(limit)
        if train is not None and split != "train":
            known = np.nan_to_num(train.reach(survey.origin))
        limits[split] = np.maximum(limit, 2 * known)
    return limits


def _is_extreme(survey: Survey, limit: np.ndarray) -> np.ndarray:
    """[C], True if the extreme value is far from the others, and beyond the limit if it is rare."""
    factor = np.where(survey.rest.count < MIN_ROWS, CERTAIN, RUINED)
    is_far = (survey.rest.stddev * factor < survey.sums.stddev) & (survey.rest.count > 1)
    distance = np.abs(survey.value - survey.origin)  # NaN without a common value
    is_far &= ~(distance <= RUINED * survey.size(survey.origin))
    return is_far & (~survey.is_rare | (distance > limit))


def warn_marks(surveys: Mapping[str, Survey], name: str, wording: Wording = WORDING) -> None:
    """Warn about a value far from all others that several rows have, such as -999.

    Of each split the first such column is named, unless train has the same value there; arguments
    as for `warn_columns`. 0 is none: amounts and counts have it in many rows.
    """
    limits = _limits(surveys)
    marks = {split: _is_mark(survey, limits[split]) for split, survey in surveys.items()}
    for split, survey in surveys.items():
        is_new = marks[split]
        if split != "train" and "train" in surveys:
            is_new = is_new & ~(marks["train"] & (survey.value == surveys["train"].value))
        marked = np.flatnonzero(is_new)
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


def _is_mark(survey: Survey, limit: np.ndarray) -> np.ndarray:
    """[C], True if several rows have the extreme value, which is far from the others and not 0."""
    is_mark = _is_extreme(survey, limit) & (survey.times > 1) & (survey.value != 0)
    return is_mark & (survey.sums.count >= MIN_ROWS) & ~_is_constant(survey.rest)


def _usual(survey: Survey, limit: np.ndarray) -> Sums:
    """All rows but the extreme one, or those of a mark."""
    is_rest = (survey.times == 1) | _is_mark(survey, limit)
    pairs = zip(survey.rest, survey.sums, strict=True)
    return Sums(*(np.where(is_rest, rest, all_rows) for rest, all_rows in pairs))


def _warn_of_units(
    split: str,
    surveys: Mapping[str, Survey],
    limits: Mapping[str, np.ndarray],
    wording: Wording,
    where: str,
) -> None:
    """Warn about columns whose mean or spread, without extreme values, is far from train's.

    Of a few rows only about those that are far larger than the spread of train.
    """
    survey, train = surveys[split], surveys["train"]
    own, others = _usual(survey, limits[split]), _usual(train, limits["train"])
    pairs = zip(own, survey.sums, strict=True)
    count, mean, squares = (np.where(own.count > 1, rest, every) for rest, every in pairs)
    spread = Sums(count, mean, squares).stddev
    train_mean, train_spread = others.mean, others.stddev
    distance = np.abs(mean - train_mean)
    larger, smaller = np.maximum(train_spread, spread), np.minimum(train_spread, spread)
    other = (larger > OTHER_SCALE * smaller) | (distance > OTHER_MEAN * larger)
    if _is_standardized(survey.sums) != _is_standardized(train.sums):
        other |= (larger > STANDARD_SCALE * smaller) & (distance > STANDARD_MEAN * larger)
    other &= ~_is_constant(survey.sums)
    widest = np.where(train.times > 1, train.sums.stddev, train_spread)
    is_far = np.maximum(distance, spread) > OTHER_SCALE * widest
    other = np.where(count >= MIN_ROWS, other, is_far)
    other &= _has_other_reach(survey, train, limits["train"])
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


def _has_other_reach(survey: Survey, train: Survey, limit: np.ndarray) -> np.ndarray:
    """[C], True if the reach of a split from the common value of train is far from that of train.

    And for columns of train without a common value, whose spread says enough.
    """
    reach, train_reach = survey.reach(train.common), train.reach(train.common)
    is_larger = reach > np.maximum(OTHER_SCALE * train_reach, np.where(train.is_rare, limit, 0))
    is_smaller = (OTHER_SCALE * reach < train_reach) & (survey.varied.count >= MIN_ROWS)
    return np.isnan(train.common) | is_larger | (is_smaller & ~train.is_rare)


def _name_columns(columns: np.ndarray, mean: np.ndarray, wording: Wording) -> str:
    """The columns with their values: 'column 3 (0.5) is', or 'columns 0 (1), 3 (0.5) are'."""
    names = ", ".join(f"{wording.column(column)} ({mean[column]:g})" for column in columns[:SHOWN])
    more = f" and {len(columns) - SHOWN} more" if len(columns) > SHOWN else ""
    return f"column {names} is" if len(columns) == 1 else f"columns {names}{more} are"
