"""Sample quality, by distances between the features of real and of generated images.

The caller chooses the feature function (see `vae_jax.evaluation.features`), and its name is part of
the metric's name: `frechet[conv28-mnist-...]`. Only under the Inception network of the papers are
these metrics called FID and KID. All arithmetic is in float64, on the host.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple, Protocol

import numpy as np

from vae_jax.errors import check_range
from vae_jax.evaluation.common import Estimate, check_same, matrix, mean_estimate
from vae_jax.types import Array

BLOCK = 1024  # rows of a matrix of distances in memory at once


class FeatureFunction(Protocol):
    """A named function from images [N, *E] to features [N, F]."""

    name: str

    def __call__(self, images: Array | np.ndarray) -> np.ndarray:
        """Features [N, F], one row for each image."""


class Neighbors(NamedTuple):
    """Shares in [0, 1], except density, whose expectation is 1 if both distributions are equal."""

    precision: float
    recall: float
    density: float
    coverage: float


def frechet_distance(real: Array | np.ndarray, generated: Array | np.ndarray) -> float:
    """Squared Frechet distance of Gaussians fitted to features real [N, F] and generated [M, F].

    Heusel et al., 2017, arXiv:1706.08500, with unbiased covariances. It is biased upwards, more for
    fewer examples (Chong and Forsyth, 2020, arXiv:1911.07023): only compare numbers with equal N
    and M.
    """
    real, generated = _pair(real, generated, min_length=2)
    return gaussian_frechet(*_moments(real), *_moments(generated))


def _moments(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean [F] and unbiased covariance [F, F] of rows [N, F], by sums over blocks of rows."""
    mean = rows.mean(axis=0)
    products = np.zeros((rows.shape[1], rows.shape[1]))
    for block in _slices(len(rows)):
        centered = rows[block] - mean
        products += centered.T @ centered
    return mean, products / (len(rows) - 1)


def gaussian_frechet(
    mean1: np.ndarray, covariance1: np.ndarray, mean2: np.ndarray, covariance2: np.ndarray
) -> float:
    """|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)) of means [F] and covariances [F, F].

    Dowson and Landau, 1982. tr (C1 C2)^(1/2) is the sum of the singular values of C1^(1/2)
    C2^(1/2). The roots come from eigendecompositions: they are real, and accurate even if a
    covariance is singular, as it is for N <= F.
    """
    roots = [_root(covariance) for covariance in (covariance1, covariance2)]
    overlap = np.linalg.svd(roots[0] @ roots[1], compute_uv=False).sum()
    distance = np.sum((mean1 - mean2) ** 2) + np.trace(covariance1) + np.trace(covariance2)
    return max(float(distance - 2 * overlap), 0.0)


def _root(covariance: np.ndarray) -> np.ndarray:
    """The symmetric square root of a covariance [F, F]; negative eigenvalues become 0."""
    values, vectors = np.linalg.eigh(covariance)
    return (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T


def kernel_distance(
    real: Array | np.ndarray, generated: Array | np.ndarray, *, num_blocks: int = 10, seed: int = 0
) -> Estimate:
    """Unbiased squared MMD of features real [N, F] and generated [M, F].

        MMD^2 = mean_{i != j} k(x_i, x_j) + mean_{i != j} k(y_i, y_j) - 2 mean_{i, j} k(x_i, y_j)
        k(x, y) = (x.y / F + 1)^3

    Binkowski et al., 2018, arXiv:1801.01401. Both sets are shuffled and split into `num_blocks`
    disjoint blocks of equal size, so the estimates of the blocks are independent. The value is
    their mean, with its standard error. It may be negative.
    """
    check_range("num_blocks", num_blocks, 1)
    real, generated = _pair(real, generated, min_length=2 * num_blocks)
    size = min(len(real), len(generated)) // num_blocks
    rng = np.random.default_rng(seed)
    orders = [
        rng.permutation(len(rows))[: size * num_blocks].reshape(num_blocks, size)
        for rows in (real, generated)
    ]
    blocks = [_unbiased_mmd(real[i], generated[j]) for i, j in zip(*orders, strict=True)]
    return mean_estimate(np.array(blocks))


def _unbiased_mmd(x: np.ndarray, y: np.ndarray) -> float:
    size = len(x)
    same = 0.0
    for rows in (x, y):
        trace = np.sum(_cubic(np.square(rows).sum(axis=1), rows.shape[1]))
        same += (_sum_of_kernels(rows, rows) - trace) / (size * (size - 1))
    return same - 2 * _sum_of_kernels(x, y) / size**2


def _sum_of_kernels(x: np.ndarray, y: np.ndarray) -> float:
    """sum_ij k(x_i, y_j), some rows at a time."""
    return sum(
        float(_cubic(x[start : start + BLOCK] @ y[begin : begin + BLOCK].T, x.shape[1]).sum())
        for start in range(0, len(x), BLOCK)
        for begin in range(0, len(y), BLOCK)
    )


def _cubic(products: np.ndarray, size: int) -> np.ndarray:
    return (products / size + 1) ** 3


def precision_recall_density_coverage(
    real: Array | np.ndarray, generated: Array | np.ndarray, *, num_neighbors: int = 5
) -> Neighbors:
    """Overlap of the sets x [N, F] and y [M, F], by balls of k nearest neighbors.

    The closed ball B(x_i) reaches to the k-th nearest other point of its set.

        precision = share of the y_j in any B(x_i)      recall   = share of the x_i in any B(y_j)
        density   = sum_ij [y_j in B(x_i)] / (k M)      coverage = share of the B(x_i) with any y_j

    Precision and recall: Kynkaanniemi et al., 2019, arXiv:1904.06991, with k = 3. Density and
    coverage: Naeem et al., 2020, arXiv:2002.09797, with k = 5.
    """
    check_range("num_neighbors", num_neighbors, 1)
    real, generated = _pair(real, generated, min_length=num_neighbors + 1)
    # The same pair has the same distance in radii and between the sets, so no slack is needed.
    real_radii, generated_radii = (
        _squared_radii(rows, num_neighbors) for rows in (real, generated)
    )
    balls_with_y = np.zeros(len(generated), int)  # entry j is for y_j
    in_any_ball, has_any = (np.zeros(len(real), bool) for _ in range(2))
    for rows, columns, squared in _squared_distances(generated, real):
        inside = squared <= real_radii[columns]
        balls_with_y[rows] += inside.sum(axis=1)
        has_any[columns] |= inside.any(axis=0)
        in_any_ball[columns] |= (squared <= generated_radii[rows, None]).any(axis=0)
    return Neighbors(
        precision=float(np.mean(balls_with_y > 0)),
        recall=float(in_any_ball.mean()),
        density=float(balls_with_y.mean() / num_neighbors),
        coverage=float(has_any.mean()),
    )


def sample_quality(
    real: Array | np.ndarray,
    generated: Array | np.ndarray,
    features: FeatureFunction,
    *,
    num_neighbors: int = 5,
) -> dict[str, float]:
    """All metrics of images real [N, *E] and generated [M, *E], named `metric[features.name]`."""
    return feature_quality(
        features(real), features(generated), features.name, num_neighbors=num_neighbors
    )


def feature_quality(
    real: Array | np.ndarray, generated: Array | np.ndarray, name: str, *, num_neighbors: int = 5
) -> dict[str, float]:
    """All metrics of features real [N, F] and generated [M, F], named `metric[name]`."""
    kernel = kernel_distance(real, generated)
    numbers = {
        "frechet": frechet_distance(real, generated),
        "kernel": kernel.value,
        "kernel_stderr": kernel.stderr,
    }
    numbers |= precision_recall_density_coverage(
        real, generated, num_neighbors=num_neighbors
    )._asdict()
    return {f"{metric}[{name}]": value for metric, value in numbers.items()}


def _squared_radii(points: np.ndarray, k: int) -> np.ndarray:
    """Squared distance [N] of each point to its k-th nearest neighbor."""
    nearest = np.full((len(points), k), math.inf)
    for rows, columns, squared in _squared_distances(points, points):
        if rows == columns:
            np.fill_diagonal(squared, math.inf)  # itself
        candidates = np.concatenate([nearest[rows], squared], axis=1)
        nearest[rows] = np.partition(candidates, k - 1, axis=1)[:, :k]
    return nearest.max(axis=1)


def _squared_distances(x: np.ndarray, y: np.ndarray) -> Iterator[tuple[slice, slice, np.ndarray]]:
    """Slices of rows of x and of y, with all squared distances between the two.

    They are sums of squared differences. A difference of products, |x|^2 + |y|^2 - 2 x y, would
    lose the distance of neighbors that are far from the origin.
    """
    from scipy.spatial.distance import cdist

    for rows in _slices(len(x)):
        for columns in _slices(len(y)):
            yield rows, columns, cdist(x[rows], y[columns], "sqeuclidean")


def _slices(length: int) -> list[slice]:
    return [slice(start, min(start + BLOCK, length)) for start in range(0, length, BLOCK)]


def _pair(
    real: Array | np.ndarray, generated: Array | np.ndarray, *, min_length: int
) -> tuple[np.ndarray, np.ndarray]:
    real, generated = (
        matrix("real", real, min_length=min_length),
        matrix("generated", generated, min_length=min_length),
    )
    check_same("generated.shape[1]", generated.shape[1], "real", real.shape[1])
    return real, generated
