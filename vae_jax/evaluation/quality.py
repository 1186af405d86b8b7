"""Sample quality, by distances between the features of real and of generated images.

The caller chooses the feature function (see `vae_jax.evaluation.features`), and its name is part of
the metric's name: `frechet[conv28-mnist-seed0]`. Only under the Inception network of the papers are
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
    moments = [
        (rows.mean(axis=0), np.atleast_2d(np.cov(rows, rowvar=False))) for rows in (real, generated)
    ]
    return gaussian_frechet(*moments[0], *moments[1])


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
    """Unbiased squared maximum mean discrepancy under k(x, y) = (x.y / F + 1)^3.

        MMD^2 = mean_{i != j} k(x_i, x_j) + mean_{i != j} k(y_i, y_j) - 2 mean_{i, j} k(x_i, y_j)

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
    within = [_cubic(rows, rows) for rows in (x, y)]
    same = sum((k.sum() - np.trace(k)) / (size * (size - 1)) for k in within)
    return same - 2 * _cubic(x, y).mean()


def _cubic(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return (x @ y.T / x.shape[1] + 1) ** 3


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
    # Centering reduces rounding of the products; `slack` keeps copies of a point at distance 0.
    center = real.mean(axis=0)
    real, generated = real - center, generated - center
    slack = 1e-13 * max(np.square(rows).sum(axis=1).max() for rows in (real, generated))
    real_radii, generated_radii = (
        _squared_radii(rows, num_neighbors) + slack for rows in (real, generated)
    )
    balls_with_y = np.zeros(len(generated), int)  # for each y_j
    in_any_ball, has_any = (np.zeros(len(real), bool) for _ in range(2))
    for rows, squared in _squared_distances(generated, real):
        inside = squared <= real_radii
        balls_with_y[rows] = inside.sum(axis=1)
        has_any |= inside.any(axis=0)
        in_any_ball |= (squared <= generated_radii[rows, None]).any(axis=0)
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
    real, generated = (features(images) for images in (real, generated))
    kernel = kernel_distance(real, generated)
    numbers = {
        "frechet": frechet_distance(real, generated),
        "kernel": kernel.value,
        "kernel_stderr": kernel.stderr,
    }
    numbers |= precision_recall_density_coverage(
        real, generated, num_neighbors=num_neighbors
    )._asdict()
    return {f"{metric}[{features.name}]": value for metric, value in numbers.items()}


def _squared_radii(points: np.ndarray, k: int) -> np.ndarray:
    """Squared distance [N] of each point to its k-th nearest neighbor."""
    radii = np.empty(len(points))
    for rows, squared in _squared_distances(points, points):
        squared[np.arange(len(squared)), np.arange(rows.start, rows.stop)] = math.inf  # itself
        radii[rows] = np.partition(squared, k - 1, axis=1)[:, k - 1]
    return radii


def _squared_distances(x: np.ndarray, y: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """Slices of rows of x, with their squared distances [rows, M] to all of y."""
    norms = np.square(y).sum(axis=1)
    for start in range(0, len(x), BLOCK):
        rows = slice(start, min(start + BLOCK, len(x)))
        squared = np.square(x[rows]).sum(axis=1)[:, None] + norms - 2 * x[rows] @ y.T
        yield rows, np.maximum(squared, 0)


def _pair(
    real: Array | np.ndarray, generated: Array | np.ndarray, *, min_length: int
) -> tuple[np.ndarray, np.ndarray]:
    real, generated = (
        matrix("real", real, min_length=min_length),
        matrix("generated", generated, min_length=min_length),
    )
    check_same("generated.shape[1]", generated.shape[1], "real", real.shape[1])
    return real, generated
