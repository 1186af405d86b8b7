"""Association between the columns of a table, in data and in samples of a model.

Columns are ordered (numbers, counts, ordinals, booleans) or not (categories). Each pair of columns
has one number, over the rows where both are observed:

- two ordered columns: Spearman's rank correlation, in -1 .. 1;
- two columns of categories: Cramer's V, in 0 .. 1;
- one of each: the correlation ratio of the ranks, in 0 .. 1.

All three depend on the order of the values alone, so neither units nor heavy tails matter. Their
absolute values agree for a boolean, which is both ordered and a category.

>>> import numpy as np
>>> x = np.array([[1.0, 10, 0], [2, 20, 0], [3, 15, 1], [4, 30, 1]] * 3)
>>> association(x, [True, True, False]).round(2)
array([[1.  , 0.8 , 0.89],
       [0.8 , 1.  , 0.45],
       [0.89, 0.45, 1.  ]])
"""

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from vae_jax.errors import InputError
from vae_jax.evaluation.common import check_same

MIN_ROWS = 10  # of a pair of columns; fewer rows have no stable order


class Associations(NamedTuple):
    """Associations in data and in samples, [D, D], and their mean absolute difference.

    `difference` is the mean of |a - b| over the pairs that are defined in the data, with 0 for an
    undefined association in the samples: a constant column says nothing about another.
    """

    data: np.ndarray
    samples: np.ndarray

    @property
    def num_pairs(self) -> int:
        """Pairs of columns with an association in the data."""
        return int(np.isfinite(_pairs(self.data)).sum())

    @property
    def difference(self) -> float:
        """The mean absolute difference over the pairs; NaN if there are none."""
        return _mean(np.abs(_pairs(self.data) - np.nan_to_num(_pairs(self.samples))))

    @property
    def strength(self) -> float:
        """The mean absolute association in the data: the difference of independent columns."""
        return _mean(np.abs(_pairs(self.data)))


def association(
    x: np.ndarray, is_ordered: Sequence[bool], observed: np.ndarray | None = None
) -> np.ndarray:
    """The association [D, D] of each pair of columns of rows x [N, D], as above.

    NaN if it is undefined: fewer than `MIN_ROWS` rows with both values, or one of the columns is
    constant in them. The diagonal is 1, or NaN for a column that is constant.

    Args:
      x: rows; values that are not finite count as missing.
      is_ordered: [D], False for categories.
      observed: [N, D], True for observed values; None if all are.

    Raises:
      InputError: the shapes do not agree.
    """
    values = np.asarray(x, np.float64)
    if values.ndim != 2:
        raise InputError(f"x: has shape {values.shape}; must be [N, D]")
    check_same("is_ordered: its length", len(is_ordered), "the columns of x", values.shape[1])
    mask = np.isfinite(values)
    if observed is not None:
        check_same("observed.shape", np.shape(observed), "x", values.shape)
        mask &= np.asarray(observed, bool)
    columns = list(np.ascontiguousarray(values.T))
    masks = list(np.ascontiguousarray(mask.T))
    ranks = [
        _ranks(column) if ordered and rows.all() else column
        for column, rows, ordered in zip(columns, masks, is_ordered, strict=True)
    ]
    result = np.full((len(columns),) * 2, math.nan)
    for i, column in enumerate(columns):
        present = column[masks[i]]
        if len(present) >= MIN_ROWS and np.ptp(present) > 0:
            result[i, i] = 1.0
    for i, j in itertools.combinations(range(len(columns)), 2):
        if np.isnan(result[i, i]) or np.isnan(result[j, j]):
            continue
        if masks[i].all() and masks[j].all():
            a, b = ranks[i], ranks[j]
        else:
            common = masks[i] & masks[j]
            a, b = columns[i][common], columns[j][common]
            a, b = (_ranks(v) if is_ordered[k] else v for v, k in ((a, i), (b, j)))
        if len(a) >= MIN_ROWS:
            result[i, j] = result[j, i] = _measure(a, b, is_ordered[i], is_ordered[j])
    return result


def spearman(x: np.ndarray, y: np.ndarray) -> float:
    """Spearman's rank correlation of x and y [N], in -1 .. 1; NaN if one is constant.

        rho = cov(R(x), R(y)) / (s(R(x)) s(R(y)))

    with ranks R, the mean rank for equal values (Spearman, 1904, Am. J. Psychol. 15(1)).
    """
    return _correlation(_ranks(x), _ranks(y))


def cramers_v(x: np.ndarray, y: np.ndarray) -> float:
    """Cramer's V of categories x and y [N], in 0 .. 1; NaN if one is constant.

        V = sqrt(chi^2 / (N (min(r, c) - 1)))

    with Pearson's chi^2 of the table of counts, of r and c categories that occur (Cramer, 1946,
    Mathematical Methods of Statistics, 21.9). Without correction for its bias: categories that
    are independent have about sqrt(max(r, c) / N).
    """
    _, a = np.unique(x, return_inverse=True)
    _, b = np.unique(y, return_inverse=True)
    shape = (int(a.max()) + 1, int(b.max()) + 1)
    if min(shape) < 2:
        return math.nan
    table = np.bincount(a * shape[1] + b, minlength=math.prod(shape)).reshape(shape) / len(a)
    expected = np.outer(table.sum(1), table.sum(0))
    chi = float(np.sum(np.square(table - expected) / expected))  # chi^2 / N
    return min(math.sqrt(chi / (min(shape) - 1)), 1.0)


def correlation_ratio(groups: np.ndarray, values: np.ndarray) -> float:
    """The correlation ratio of groups and values [N], in 0 .. 1; NaN if one is constant.

        eta^2 = sum_g n_g (m_g - m)^2 / sum_n (v_n - m)^2

    with the mean m_g of each group: the share of the variance that the group explains, of which
    eta is the root (Fisher, 1925, Statistical Methods for Research Workers, 45). Of ranks it is
    H / (N - 1) with the statistic H of Kruskal and Wallis.
    """
    _, index = np.unique(groups, return_inverse=True)
    centered = values - np.mean(values)
    total = float(np.sum(np.square(centered)))
    counts = np.bincount(index)
    if len(counts) < 2 or total == 0:
        return math.nan
    between = float(np.sum(np.square(np.bincount(index, centered)) / counts))
    return min(math.sqrt(between / total), 1.0)


def _measure(a: np.ndarray, b: np.ndarray, a_is_ordered: bool, b_is_ordered: bool) -> float:
    """The association of two columns: ranks of an ordered column, codes of another."""
    if a_is_ordered and b_is_ordered:
        return _correlation(a, b)
    if not a_is_ordered and not b_is_ordered:
        return cramers_v(a, b)
    return correlation_ratio(b, a) if a_is_ordered else correlation_ratio(a, b)


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    a = a - np.mean(a)
    b = b - np.mean(b)
    scale = math.sqrt(float(a @ a) * float(b @ b))
    return float(np.clip(a @ b / scale, -1, 1)) if scale > 0 else math.nan


def _ranks(values: np.ndarray) -> np.ndarray:
    """Ranks 1 .. N, the mean rank for equal values."""
    _, index, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[index]


def _pairs(matrix: np.ndarray) -> np.ndarray:
    """The entries above the diagonal."""
    return matrix[np.triu_indices(len(matrix), 1)]


def _mean(values: np.ndarray) -> float:
    values = values[np.isfinite(values)]
    return float(values.mean()) if values.size else math.nan
