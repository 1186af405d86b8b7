"""Statistics of the values of each dimension, and the distributions fitted to them.

Plain numpy in float64. `vae_jax.evaluation.baseline` fits them to the splits of a data set.
"""

import dataclasses
from typing import Protocol

import numpy as np

from vae_jax.distributions import LOGVAR_RANGE

CONSTANT = 1e-12  # a variance below this part of the squared mean is rounding
NEARLY_POISSON = 1e6  # inverse dispersion from which a negative binomial is Poisson


class Factor(Protocol):
    """The distribution of some dimensions, independent of each other."""

    def log_prob(self, x: np.ndarray) -> np.ndarray:
        """Log p of each value of x [N, D], in nats."""


class Statistics:
    """Sums over the rows of a data set [N, D], added a few at a time; NaN are missing values.

    Attributes:
      count: [D] observed values of each dimension.
      histogram: [D, levels], or [1, levels] if all dimensions share one; None without levels.
    """

    def __init__(
        self, num_dims: int, *, levels: int = 0, scale: int = 1, is_shared: bool = False
    ) -> None:
        """Start with no rows; `scale` maps a value to the index of its level."""
        self.count = np.zeros(num_dims, np.int64)
        self.histogram = np.zeros((1 if is_shared else num_dims, levels), np.int64)
        self._scale = scale
        self._shift = np.zeros(num_dims)  # so that squares do not cancel
        self._sum = np.zeros(num_dims)
        self._square = np.zeros(num_dims)

    def add(self, rows: np.ndarray) -> None:
        """Add rows [n, D]."""
        missing = find_missing(rows)
        if not self.count.any():
            self._shift = _observed_mean(rows, missing)
        centered = rows - self._shift
        if missing is None:
            self.count += len(rows)
        else:
            centered[missing] = 0
            self.count += len(rows) - missing.sum(axis=0)
        self._sum += centered.sum(axis=0)
        self._square += np.square(centered).sum(axis=0)
        size, levels = self.histogram.shape
        if levels:
            index = to_levels(rows if missing is None else np.nan_to_num(rows), levels, self._scale)
            index += levels * np.arange(size)
            index = index.reshape(-1) if missing is None else index[~missing]
            counts = np.bincount(index, minlength=size * levels)
            self.histogram += counts.reshape(size, levels)

    @property
    def mean(self) -> np.ndarray:
        """[D]; 0 for a dimension that is never observed."""
        return self._shift + self._sum / np.maximum(self.count, 1)

    @property
    def variance(self) -> np.ndarray:
        """[D], the second moment about the mean, without Bessel's correction."""
        count = np.maximum(self.count, 1)
        return np.maximum(self._square / count - np.square(self._sum / count), 0.0)

    @property
    def is_constant(self) -> np.ndarray:
        """[D], True if the dimension does not vary."""
        return self.variance <= CONSTANT * np.square(self.mean)


def find_missing(rows: np.ndarray) -> np.ndarray | None:
    """True where values of rows [N, D] are NaN, [N, D]; None if none is."""
    missing = np.isnan(rows)
    return missing if missing.any() else None


def _observed_mean(rows: np.ndarray, missing: np.ndarray | None) -> np.ndarray:
    """The mean [D] of the observed values of each dimension; 0 without any."""
    if missing is None:
        return rows.mean(axis=0)
    return np.where(missing, 0, rows).sum(axis=0) / np.maximum((~missing).sum(axis=0), 1)


def to_levels(x: np.ndarray, levels: int, scale: int) -> np.ndarray:
    """The nearest level 0 .. levels - 1 of each value, elementwise: x * scale, rounded."""
    return np.clip(np.rint(x * scale), 0, levels - 1).astype(np.int64)


@dataclasses.dataclass(frozen=True)
class Frequencies:
    """x log p + (1 - x) log(1 - p): Bernoulli, unnormalized for values between 0 and 1."""

    p: np.ndarray  # [D]

    def log_prob(self, x: np.ndarray) -> np.ndarray:
        return x * np.log(self.p) + (1 - x) * np.log1p(-self.p)


@dataclasses.dataclass(frozen=True)
class Levels:
    """A histogram for each dimension."""

    log_p: np.ndarray  # [D, L], or [1, L] for all
    scale: int

    def log_prob(self, x: np.ndarray) -> np.ndarray:
        index = to_levels(x, self.log_p.shape[1], self.scale)
        return self.log_p[np.arange(len(self.log_p)), index]


@dataclasses.dataclass(frozen=True)
class Normal:
    """N(mean, variance)."""

    mean: np.ndarray  # [D]
    variance: np.ndarray  # [D]

    def log_prob(self, x: np.ndarray) -> np.ndarray:
        with np.errstate(over="ignore"):
            squares = np.square(x - self.mean) / self.variance
        return -0.5 * (squares + np.log(2 * np.pi * self.variance))


@dataclasses.dataclass(frozen=True)
class Counts:
    """Negative binomial with variance mean + mean^2 / r; Poisson if r is infinite."""

    mean: np.ndarray  # [D]
    r: np.ndarray  # [D]

    def log_prob(self, x: np.ndarray) -> np.ndarray:
        from scipy.special import gammaln  # slow to import

        poisson = x * np.log(self.mean) - self.mean - gammaln(x + 1)
        is_poisson = self.r > NEARLY_POISSON
        r = np.where(is_poisson, 1.0, self.r)
        binomial = gammaln(x + r) - gammaln(r) - gammaln(x + 1)
        binomial += r * np.log(r / (r + self.mean)) + x * np.log(self.mean / (r + self.mean))
        return np.where(is_poisson, poisson, binomial)


def fit_frequencies(statistics: Statistics, dimensions: np.ndarray) -> Frequencies:
    """P = (sum x + 1) / (N + 2) of dimensions [D']."""
    count = statistics.count[dimensions]
    total = statistics.mean[dimensions] * count
    return Frequencies((total + 1) / (count + 2))


def fit_levels(statistics: Statistics, dimensions: np.ndarray, levels: int, scale: int) -> Levels:
    """p_k = (n_k + L g_k) / (N + L), g the frequencies of these dimensions [D'] together.

    g itself is smoothed by one count for each level. So a level that a pixel never had, and other
    pixels have, is likelier than a value that no pixel had.
    """
    counts = statistics.histogram
    counts = (counts if len(counts) == 1 else counts[dimensions])[:, :levels].astype(np.float64)
    pooled = counts.sum(axis=0) + 1
    pooled /= pooled.sum()
    smoothed = counts + levels * pooled
    return Levels(np.log(smoothed / smoothed.sum(axis=1, keepdims=True)), scale)


def fit_normal(
    statistics: Statistics,
    dimensions: np.ndarray,
    *,
    is_image: bool,
    groups: np.ndarray | None = None,
) -> Normal:
    """Mean and variance of each dimension; the variance is at least the least of likelihoods.

    Dimensions of one of the `groups` [D] share their mean variance. Otherwise the variances of
    pixels, which have one unit, are smoothed by one pseudo-example with the mean variance of all
    pixels, which keeps the variances of constant pixels away from 0.
    """
    variance, n = statistics.variance[dimensions], statistics.count[dimensions]
    if groups is not None:
        weight = n / n.max()
        variance = (np.bincount(groups, variance * weight) / np.bincount(groups, weight))[groups]
    elif is_image:
        variance = (variance * n + variance[n > 0].mean()) / (n + 1)
    least = np.exp(LOGVAR_RANGE[0])
    is_constant = variance <= CONSTANT * np.square(statistics.mean[dimensions])
    return Normal(statistics.mean[dimensions], np.where(is_constant, least, variance))


def fit_counts(statistics: Statistics, dimensions: np.ndarray) -> Counts:
    """Mean (sum x + 1/2) / N and r = mean^2 / (variance - mean) of dimensions [D'].

    r is infinite if that is negative.
    """
    mean = statistics.mean[dimensions] + 0.5 / np.maximum(statistics.count[dimensions], 1)
    excess = statistics.variance[dimensions] - mean
    with np.errstate(divide="ignore"):
        r = np.where(excess > 0, np.square(mean) / np.where(excess > 0, excess, 1.0), np.inf)
    return Counts(mean, r)
