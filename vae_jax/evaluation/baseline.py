"""The trivial baseline: independent pixels or columns at their training frequencies.

A model whose bound is below the log-likelihood of this baseline knows less about the data than the
frequencies of each dimension alone. Everything is in float64 on the host, some rows at a time.
"""

import dataclasses
import math
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vae_jax.data import ArraySource, HostSource, Source
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
    fit_counts,
    fit_frequencies,
    fit_levels,
    fit_normal,
)
from vae_jax.likelihoods import (
    LogNormal,
    Mixed,
    Poisson,
    StudentT,
    ZeroInflatedNegativeBinomial,
    parse_columns,
)
from vae_jax.nets.attributes import read_attribute

MAX_VALUES = 2**28  # training values read: of larger splits, random examples
CHUNK_VALUES = 2**20  # values in memory at once
MAX_FITTED = 2**20  # values that families without simple sums are fitted to
MAX_ENTRIES = 2**25  # limit for all histograms together; above it, all dimensions share one

Kind = tuple[
    str, int, int
]  # family of a dimension, its levels, and the scale from values to levels


@dataclasses.dataclass(frozen=True)
class Baseline:
    """p(x) = prod_d p_d(x_d), fitted to a training split.

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
        """Log p(x) [N] in nats of x [N, *E], summed over the event."""
        rows = np.asarray(x, np.float64).reshape(len(x), -1)
        total = np.zeros(len(rows))
        for dimensions, factor in self.factors:
            part = rows if len(dimensions) == rows.shape[1] else rows[:, dimensions]
            total += factor.log_prob(part).sum(axis=1)
        return total

    def score(self, source: Source | HostSource) -> "BaselineScores":
        """Score every example of a split."""
        log_px = []
        errors = []
        for rows in read_rows(source, np.arange(source.num_examples)):
            log_px.append(self.log_prob(rows))
            errors.append(np.square(rows - self.mean).mean(axis=1))
        return BaselineScores(
            np.concatenate(log_px),
            np.concatenate(errors),
            self.name,
            self.deviation,
            self.is_constant,
        )


@dataclasses.dataclass(frozen=True)
class BaselineScores:
    """The baseline on each example of a split."""

    log_px: np.ndarray  # [N] nats
    mse: np.ndarray  # [N] MSE of the training mean as the reconstruction
    name: str
    deviation: np.ndarray  # [D] standard deviation of the training examples
    is_constant: bool  # the training examples are all the same

    def select(self, rows: np.ndarray) -> "BaselineScores":
        """The scores of some rows, by index or mask."""
        return dataclasses.replace(self, log_px=self.log_px[rows], mse=self.mse[rows])


def fit_baseline(likelihood: Any, train: Source | HostSource) -> Baseline:
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

    Args:
      likelihood: the model's, see `vae_jax.likelihoods.Likelihood`.
      train: the training split; under dynamic binarization, its probabilities.
    """
    num_dims = math.prod(train.shape)
    is_image = len(train.shape) == 3
    groups = _scale_groups(likelihood, train.shape) if is_image else None
    kinds = dimension_kinds(likelihood, num_dims)
    levels = max(kind[1] for kind in kinds)
    is_shared = levels * num_dims > MAX_ENTRIES
    scale = max(kind[2] for kind in kinds)
    statistics = Statistics(num_dims, levels=levels, scale=scale, is_shared=is_shared)
    index = choose_examples(train.num_examples, max(1, MAX_VALUES // num_dims))
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
    """Random training examples [n, D] of at most `MAX_FITTED` values, float64; at least one."""
    size = max(1, MAX_FITTED // math.prod(train.shape))
    return np.concatenate(list(read_rows(train, choose_examples(train.num_examples, size))))


def read_rows(source: Source | HostSource, index: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the examples at index [n] as float64 [m, D], a few at a time.

    They have the values that the model sees; of images that are binarized anew at each reading,
    the probabilities.
    """
    size = max(1, CHUNK_VALUES // math.prod(source.shape))
    for start in range(0, len(index), size):
        rows = index[start : start + size]
        if isinstance(source, HostSource):
            part = source.select(rows)
            x = part.images * np.float32(part.scale)
        elif isinstance(source, ArraySource):
            x = np.asarray(source.images)[rows] * np.float32(source.scale)
        else:
            # Padded, so that one program serves all chunks.
            padded = np.minimum(start + np.arange(min(size, len(index))), len(index) - 1)
            x = np.asarray(_take(source, jnp.asarray(index[padded], jnp.int32)))[: len(rows)]
        yield np.asarray(x, np.float64).reshape(len(rows), -1)


@jax.jit
def _take(source: Source, index: jax.Array) -> jax.Array:
    return source.take(index, jax.random.key(0))["x"]
