"""Mean and standard deviation by column of a table, or channel of images, in one reading."""

import dataclasses
import functools
import operator
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from vae_jax.data.rows import HostRows
from vae_jax.data.values import READ_BYTES


@dataclasses.dataclass(frozen=True)
class Moments:
    """Statistics over all examples and pixels, float64."""

    mean: np.ndarray  # [C]
    stddev: np.ndarray  # [C]
    log_mean: np.ndarray  # [C], of log(1 + x); meaningful for counts only
    log_stddev: np.ndarray  # [C]
    positive_log_mean: np.ndarray  # [C], of log x; meaningful for positive numbers only
    positive_log_stddev: np.ndarray  # [C]


class Sums(NamedTuple):
    """Number, mean and sum of squared deviations of some rows, by column."""

    count: Any  # [] or [C]
    mean: np.ndarray  # [C]
    squares: np.ndarray  # [C]

    def __add__(self, other: "Sums") -> "Sums":  # type: ignore[override]
        """The same of both together (Chan et al., 1983), without cancellation."""
        count = self.count + other.count
        share = other.count / np.maximum(count, 1)
        difference = other.mean - self.mean
        squares = self.squares + other.squares + difference**2 * share * self.count
        return Sums(count, self.mean + difference * share, squares)

    @property
    def stddev(self) -> np.ndarray:
        return np.sqrt(self.squares / np.maximum(self.count, 1))


def sums_of(rows: np.ndarray, mask: np.ndarray | None = None) -> Sums:
    """The sums of rows [N, C], float64; of their entries in a mask [N, C] if there is one."""
    if mask is None:
        mean = rows.mean(0)
        return Sums(len(rows), mean, np.square(rows - mean).sum(0))
    count = mask.sum(0)
    mean = np.where(mask, rows, 0).sum(0) / np.maximum(count, 1)
    return Sums(count, mean, np.where(mask, np.square(rows - mean), 0).sum(0))


def read_rows(rows: Any) -> Iterator[np.ndarray]:
    """Yield all rows [N, *E], in memory or on the host, in parts and in their order."""
    for part, _ in read_observed(rows, None):
        yield part


def read_observed(rows: Any, observed: Any) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
    """Yield all rows [N, *E] in parts, with the observed entries of each; None if all are."""
    size = rows[np.zeros(1, np.int64)].nbytes
    step = max(1, READ_BYTES // size)
    for start in range(0, len(rows), step):
        index = np.arange(start, min(start + step, len(rows)))
        if isinstance(observed, HostRows):
            yield rows.read(index)
        else:
            yield rows[index], None if observed is None else observed[index]


def sums_of_means(rows: Any, observed: Any = None) -> Sums:
    """The sums of the means of each row of rows [N, *E], over its `observed` entries if any."""
    parts = []
    for part, mask in read_observed(rows, observed):
        x = part.reshape(len(part), -1)
        if mask is None:
            means = x.mean(1, dtype=np.float64)
        else:
            seen = mask.reshape(x.shape)
            count = seen.sum(1)
            means = np.where(seen, x, 0).sum(1, dtype=np.float64)[count > 0] / count[count > 0]
        if len(means):
            parts.append(sums_of(means))
    return functools.reduce(operator.add, parts, Sums(0, np.zeros(()), np.zeros(())))


def measure(rows: Any, scale: float = 1.0, observed: Any = None) -> Moments:
    """The moments of rows [N, ..., C] times a scale, over `observed` entries if not all are."""
    parts = []
    for part, mask in read_observed(rows, observed):
        x = part.astype(np.float64).reshape(-1, part.shape[-1]) * scale
        mask = None if mask is None else mask.reshape(x.shape)
        logs = np.log1p(np.maximum(x, 0)), np.log(np.where(x > 0, x, 1))
        parts.append(tuple(sums_of(values, mask) for values in (x, *logs)))
    totals = [functools.reduce(operator.add, sums) for sums in zip(*parts, strict=True)]
    return Moments(*(array for total in totals for array in (total.mean, total.stddev)))
