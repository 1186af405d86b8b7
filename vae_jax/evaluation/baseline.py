"""The trivial baseline: independent pixels or columns at their training frequencies.

Of sequences it is a trigram model of tokens.

A model whose bound is below the log-likelihood of this baseline knows less about the data than the
frequencies of each dimension alone. Everything is in float64 on the host, some rows at a time.
"""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from vae_jax.data import ArraySource, HostSource, Source
from vae_jax.evaluation.baseline_scores import MAX_VALUES, BaselineScores, read_rows
from vae_jax.evaluation.column_fits import (
    fit_log_normal,
    fit_poisson,
    fit_student_t,
    fit_zero_inflated,
)
from vae_jax.evaluation.common import choose_examples
from vae_jax.evaluation.frequencies import (
    Factor,
    Statistics,
    find_missing,
    fit_counts,
    fit_frequencies,
    fit_levels,
    fit_normal,
)
from vae_jax.evaluation.ngrams import NGrams, fit_ngrams
from vae_jax.likelihoods import (
    LogNormal,
    Mixed,
    Poisson,
    StudentT,
    Tokens,
    ZeroInflatedNegativeBinomial,
    parse_columns,
)
from vae_jax.nets.attributes import read_attribute

MAX_RENDERED_VALUES = 2**26  # the same for sources that compute their examples: 16,384 sprites
MAX_FITTED = 2**20  # values that families without simple sums are fitted to
MAX_ENTRIES = 2**25  # limit for all histograms together; above it, all dimensions share one

Kind = tuple[
    str, int, int
]  # family of a dimension, its levels, and the scale from values to levels


@dataclasses.dataclass(frozen=True)
class Baseline:
    """p(x) = prod_d p_d(x_d), fitted to the observed values of a training split.

    Attributes:
      name: human-readable.
      mean, deviation: [D] mean and standard deviation of the training examples.
      is_constant: True if no dimension varies over the training examples.
      factors: dimensions, and their distribution.
    """

    name: str
    mean: np.ndarray
    deviation: np.ndarray
    is_constant: bool
    factors: tuple[tuple[np.ndarray, Factor], ...] = dataclasses.field(repr=False)

    def log_prob(self, x: np.ndarray) -> np.ndarray:
        """Log p(x) [N] in nats of x [N, *E], summed over the event without NaN: missing values."""
        rows = np.asarray(x, np.float64).reshape(len(x), -1)
        total = np.zeros(len(rows))
        missing = find_missing(rows)
        filled = rows if missing is None else np.where(missing, self.mean, rows)
        for dimensions, factor in self.factors:
            is_all = len(dimensions) == rows.shape[1]
            terms = factor.log_prob(filled if is_all else filled[:, dimensions])
            if missing is not None:
                terms[missing if is_all else missing[:, dimensions]] = 0
            total += terms.sum(axis=1)
        return total

    def score(self, source: Source | HostSource) -> BaselineScores:
        """Score every example of a split."""
        log_px = []
        errors = []
        for rows in read_rows(source, np.arange(source.num_examples)):
            log_px.append(self.log_prob(rows))
            squares, missing = np.square(rows - self.mean), find_missing(rows)
            if missing is None:
                errors.append(squares.mean(axis=1))
            else:
                count = np.maximum((~missing).sum(axis=1), 1)
                errors.append(np.where(missing, 0, squares).sum(axis=1) / count)
        return BaselineScores(
            np.concatenate(log_px),
            np.concatenate(errors),
            self.name,
            self.deviation,
            self.is_constant,
        )


def fit_baseline(likelihood: Any, train: Source | HostSource) -> Baseline | NGrams:
    """Fit the baseline to a training split, in the family of a likelihood.

    So its log-likelihood and the bound of a model with this likelihood are comparable:

    - 0 and 1: the frequency of each pixel, (n_1 + 1) / (N + 2). Values in between get the
      unnormalized term of the Bernoulli likelihood.
    - A grid of L levels: a histogram for each pixel, smoothed by L pseudo-examples that have the
      frequencies of all pixels together.
    - Counts: a negative binomial by mean and variance of each dimension, Poisson if the variance
      is not larger than the mean.
    - Counts with added zeros, numbers with outliers, positive numbers: a zero-inflated negative
      binomial, Student-t or log-normal distribution of maximum likelihood for each dimension.
    - Anything else: a Gaussian for each dimension, in the units of the data. If a scale of the
      likelihood is shared by several entries of images, so is the variance.
    - Mixed tables: each column by its kind.
    - Tokens: a trigram model, see `vae_jax.evaluation.ngrams`.

    Args:
      likelihood: the model's, see `vae_jax.likelihoods.Likelihood`.
      train: the training split; under dynamic binarization, its probabilities. Of very large
        splits, and of more than 16,384 sprites, random examples that are always the same.
    """
    if isinstance(likelihood, Tokens):
        return fit_ngrams(train, likelihood.num_tokens)
    num_dims = math.prod(train.shape)
    is_image = len(train.shape) == 3
    groups = _scale_groups(likelihood, train.shape) if is_image else None
    kinds = dimension_kinds(likelihood, num_dims)
    levels = max(kind[1] for kind in kinds)
    is_shared = levels * num_dims > MAX_ENTRIES
    scale = max(kind[2] for kind in kinds)
    statistics = Statistics(num_dims, levels=levels, scale=scale, is_shared=is_shared)
    is_stored = isinstance(train, ArraySource | HostSource)
    limit = MAX_VALUES if is_stored else MAX_RENDERED_VALUES
    index = choose_examples(train.num_examples, max(1, limit // num_dims))
    for rows in read_rows(train, index):
        statistics.add(rows)
    factors = []
    for kind in dict.fromkeys(kinds):
        dimensions = np.array([d for d, other in enumerate(kinds) if other == kind])
        if kind in FITS:
            factor = FITS[kind](_choose_rows(train)[:, dimensions])
        else:
            factor = _fit(kind, statistics, dimensions, groups, is_image=is_image)
        factors.append((dimensions, factor))
    names = " and ".join(dict.fromkeys(family for family, _, _ in kinds))
    noun = "pixels" if is_image else "columns"
    name = f"independent {noun} ({names}{', one for all' if is_shared else ''})"
    return Baseline(
        name,
        statistics.mean,
        np.sqrt(statistics.variance),
        bool(statistics.is_constant.all()),
        tuple(factors),
    )


def dimension_kinds(likelihood: Any, num_dims: int) -> tuple[Kind, ...]:
    """The kind of each dimension under a likelihood."""
    if isinstance(likelihood, Mixed):
        return tuple(
            COLUMN_KINDS.get(column.kind, (HISTOGRAM, column.num_codes, 1))
            for column in parse_columns(likelihood.columns)
        )
    if type(likelihood) in HEAD_KINDS:
        return (HEAD_KINDS[type(likelihood)],) * num_dims
    levels = read_attribute(likelihood, "levels")
    if read_attribute(likelihood, "binary"):
        kind = FREQUENCIES
    elif levels:
        kind = (HISTOGRAM, levels, levels - 1)
    elif read_attribute(likelihood, "integers"):
        kind = COUNTS
    else:
        kind = GAUSSIAN
    return (kind,) * num_dims


HISTOGRAM = "histograms"
FREQUENCIES: Kind = ("frequencies", 0, 1)
COUNTS: Kind = ("negative binomials", 0, 1)
GAUSSIAN: Kind = ("Gaussians", 0, 1)
POISSON: Kind = ("Poissons", 0, 1)
ZERO_INFLATED: Kind = ("zero-inflated negative binomials", 0, 1)
STUDENT_T: Kind = ("Student-t distributions", 0, 1)
LOG_NORMAL: Kind = ("log-normals", 0, 1)
COLUMN_KINDS = {  # all others have histograms
    "gaussian": GAUSSIAN,
    "student_t": STUDENT_T,
    "positive": LOG_NORMAL,
    "bernoulli": FREQUENCIES,
    "counts": COUNTS,
    "poisson": POISSON,
    "zero_inflated": ZERO_INFLATED,
}
HEAD_KINDS: dict[type, Kind] = {
    StudentT: STUDENT_T,
    LogNormal: LOG_NORMAL,
    Poisson: POISSON,
    ZeroInflatedNegativeBinomial: ZERO_INFLATED,
}
FITS: dict[Kind, Callable[[np.ndarray], Factor]] = {
    STUDENT_T: fit_student_t,
    LOG_NORMAL: fit_log_normal,
    POISSON: fit_poisson,
    ZERO_INFLATED: fit_zero_inflated,
}


def _scale_groups(likelihood: Any, event: tuple[int, ...]) -> np.ndarray | None:
    """The group [D] of each entry whose scale the likelihood shares; None if it shares none."""
    shape = read_attribute(likelihood, "shared_scale")
    if shape is None or shape == event:
        return None
    return np.broadcast_to(np.arange(math.prod(shape)).reshape(shape), event).ravel()


def _fit(
    kind: Kind,
    statistics: Statistics,
    dimensions: np.ndarray,
    groups: np.ndarray | None,
    *,
    is_image: bool,
) -> Factor:
    if kind == FREQUENCIES:
        return fit_frequencies(statistics, dimensions)
    if kind == COUNTS:
        return fit_counts(statistics, dimensions)
    if kind == GAUSSIAN:
        return fit_normal(statistics, dimensions, is_image=is_image, groups=groups)
    return fit_levels(statistics, dimensions, kind[1], kind[2])


def _choose_rows(train: Source | HostSource) -> np.ndarray:
    """Random training examples [n, D] of at most `MAX_FITTED` values, float64; at least one.

    Missing values are NaN, unless all of a dimension are: it gets the mean of the others.
    """
    size = max(1, MAX_FITTED // math.prod(train.shape))
    rows = np.concatenate(list(read_rows(train, choose_examples(train.num_examples, size))))
    missing = find_missing(rows)
    if missing is not None and missing.all(axis=0).any():
        rows[:, missing.all(axis=0)] = np.nanmean(rows)
    return rows
