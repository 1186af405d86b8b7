"""Distributions of columns fitted by maximum likelihood, for the trivial baseline.

Plain numpy in float64, on rows [N, D] in memory; NaN are missing values, and each dimension has
some others. `vae_jax.evaluation.frequencies` has the
distributions that are fitted by sums over the rows.
"""

import dataclasses
import math

import numpy as np

from vae_jax.evaluation.frequencies import Counts

LEAST = math.exp(-7)  # least scale in standard deviations of the data, as that of likelihoods
DFS = np.geomspace(2, 1000, 30)  # degrees of freedom that are tried, the range of likelihoods
DISPERSIONS = np.exp(np.linspace(-7, 10, 52))  # inverse dispersions likewise
FIRST_STEPS, STEPS, GATE_STEPS = 30, 10, 200  # of expectation maximization


@dataclasses.dataclass(frozen=True)
class StudentT:
    """A Student-t distribution for each dimension."""

    loc: np.ndarray  # [D]
    scale: np.ndarray  # [D]
    df: np.ndarray  # [D]

    def log_prob(self, x: np.ndarray) -> np.ndarray:
        from scipy.special import gammaln  # slow to import

        half = self.df / 2
        constant = gammaln(half + 0.5) - gammaln(half) - 0.5 * np.log(2 * np.pi * half)
        squares = np.square((x - self.loc) / self.scale)
        return constant - np.log(self.scale) - (half + 0.5) * np.log1p(squares / self.df)


@dataclasses.dataclass(frozen=True)
class LogNormal:
    """log x ~ N(loc, scale^2) for each dimension; no density at 0 and below."""

    loc: np.ndarray  # [D]
    scale: np.ndarray  # [D]

    def log_prob(self, x: np.ndarray) -> np.ndarray:
        logs = np.log(np.where(x > 0, x, 1))
        squares = np.square((logs - self.loc) / self.scale)
        terms = -0.5 * (squares + math.log(2 * math.pi)) - np.log(self.scale) - logs
        return np.where(x > 0, terms, -np.inf)


@dataclasses.dataclass(frozen=True)
class ZeroInflated:
    """Zero with probability `gate`, else a count of a negative binomial."""

    gate: np.ndarray  # [D]
    counts: Counts

    def log_prob(self, x: np.ndarray) -> np.ndarray:
        counted = np.log1p(-self.gate) + self.counts.log_prob(x)
        with np.errstate(divide="ignore", invalid="ignore"):  # NaN is a missing value
            return np.where(x == 0, np.logaddexp(np.log(self.gate), counted), counted)


def fit_student_t(rows: np.ndarray) -> StudentT:
    """Fit each column of rows [N, D]: the best of several degrees of freedom.

    Location and scale are by expectation maximization from median and median absolute deviation
    (Lange et al., 1989, JASA 84). The scale is at least exp(-7) standard deviations.
    """
    deviation = np.nanstd(rows, axis=0)
    is_constant = deviation <= 1e-6 * np.abs(np.nanmean(rows, axis=0))
    least = np.where(is_constant, LEAST, LEAST * np.where(is_constant, 1, deviation))
    loc = np.nanmedian(rows, axis=0)
    scale = np.maximum(1.4826 * np.nanmedian(np.abs(rows - loc), axis=0), 0.1 * deviation + least)
    best = np.full(len(loc), -np.inf)
    result: tuple[np.ndarray, ...] = (loc, scale, best)
    for df in DFS:
        for _ in range(FIRST_STEPS if df == DFS[0] else STEPS):
            weights = (df + 1) / (df + np.square((rows - loc) / scale))
            loc = np.nansum(weights * rows, axis=0) / np.nansum(weights, axis=0)
            squares = weights * np.square(rows - loc)
            scale = np.maximum(np.sqrt(np.nanmean(squares, axis=0)), least)
        each = np.full(len(loc), df)
        likelihood = np.nansum(StudentT(loc, scale, each).log_prob(rows), axis=0)
        is_better = likelihood > best
        best = np.where(is_better, likelihood, best)
        new = (loc, scale, each)
        result = tuple(np.where(is_better, a, b) for a, b in zip(new, result, strict=True))
    return StudentT(*result)


def fit_log_normal(rows: np.ndarray) -> LogNormal:
    """Mean and standard deviation of log x, of each column of rows [N, D]."""
    logs = np.log(np.where(rows <= 0, 1, rows))
    return LogNormal(np.nanmean(logs, axis=0), np.maximum(np.nanstd(logs, axis=0), LEAST))


def fit_poisson(rows: np.ndarray) -> Counts:
    """Mean (sum x + 1/2) / N of each column of rows [N, D]."""
    count = (~np.isnan(rows)).sum(0)
    return Counts(np.nanmean(rows, axis=0) + 0.5 / count, np.full(rows.shape[1], np.inf))


def fit_zero_inflated(rows: np.ndarray) -> ZeroInflated:
    """Fit each column of rows [N, D]: the best of several dispersions.

    Mean and gate are by expectation maximization. Half a count, and one example without added
    zeros, are added to each dimension.
    """
    best = np.full(rows.shape[1], -np.inf)
    result: tuple[np.ndarray, ...] = (best, best, best)
    for r in DISPERSIONS:
        each = np.full(len(best), r)
        gate, mean = _gate_and_mean(rows, r)
        likelihood = np.nansum(ZeroInflated(gate, Counts(mean, each)).log_prob(rows), axis=0)
        is_better = likelihood > best
        best = np.where(is_better, likelihood, best)
        new = (gate, mean, each)
        result = tuple(np.where(is_better, a, b) for a, b in zip(new, result, strict=True))
    gate, mean, r = result
    return ZeroInflated(gate, Counts(mean, r))


def _gate_and_mean(rows: np.ndarray, r: float) -> tuple[np.ndarray, np.ndarray]:
    """Probability of added zeros and mean of counts [D] of rows [N, D], given r."""
    size, zeros = (~np.isnan(rows)).sum(0), (rows == 0).sum(0)
    total = np.nansum(rows, axis=0) + 0.5
    gate = 0.5 * zeros / size
    for _ in range(GATE_STEPS):
        mean = total / (size * (1 - gate))
        at_zero = (1 - gate) * np.exp(-r * np.log1p(mean / r))
        added = zeros * gate / np.maximum(gate + at_zero, 1e-300)
        gate = added / (size + 1)
    return gate, total / (size * (1 - gate))
