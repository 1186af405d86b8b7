"""Distances between sets of features against closed forms, loops, and sets of one distribution."""

import math

import numpy as np
import pytest
import scipy.linalg
from scipy import stats

from vae_jax.errors import InputError
from vae_jax.evaluation import quality
from vae_jax.evaluation.quality import (
    frechet_distance,
    gaussian_frechet,
    kernel_distance,
    precision_recall_density_coverage,
    sample_quality,
)


def normal(n, f=4, seed=0, mean=0.0, scale=1.0):
    return mean + scale * np.random.default_rng(seed).normal(size=(n, f))


def covariance(seed, f=6):
    return stats.wishart(f + 2, np.eye(f)).rvs(random_state=seed)


def test_frechet_of_gaussians_whose_covariances_commute():
    """tr(C1 + C2 - 2 (C1 C2)^(1/2)) is the sum of (s1 - s2)^2 over the axes that they share."""
    axes = np.linalg.qr(normal(5, 5))[0]
    s1, s2 = np.array([1.0, 2.0, 0.0, 0.5, 3.0]), np.array([2.0, 0.5, 1.0, 0.0, 3.0])
    c1, c2 = ((axes * s**2) @ axes.T for s in (s1, s2))
    m1, m2 = np.arange(5.0), np.ones(5)
    expected = np.sum((m1 - m2) ** 2) + np.sum((s1 - s2) ** 2)
    assert gaussian_frechet(m1, c1, m2, c2) == pytest.approx(expected, rel=1e-7)


def test_frechet_of_any_gaussians_is_that_of_the_matrix_root():
    c1, c2 = covariance(0), covariance(1)
    root = scipy.linalg.sqrtm(c1 @ c2)
    expected = 6 * 4 + np.trace(c1 + c2 - 2 * root.real)
    assert gaussian_frechet(np.zeros(6), c1, np.full(6, 2.0), c2) == pytest.approx(
        expected, rel=1e-9
    )


def test_frechet_of_features_is_that_of_their_moments():
    x, y = normal(50), normal(40, seed=1, mean=1.0, scale=2.0)
    c1, c2 = ((a - a.mean(0)).T @ (a - a.mean(0)) / (len(a) - 1) for a in (x, y))
    root = scipy.linalg.sqrtm(c1 @ c2).real
    expected = np.sum((x.mean(0) - y.mean(0)) ** 2) + np.trace(c1 + c2 - 2 * root)
    assert frechet_distance(x, y) == pytest.approx(expected, rel=1e-9)
    assert frechet_distance(x, y) == pytest.approx(frechet_distance(y, x), rel=1e-9)


@pytest.mark.parametrize(
    ("n", "f"), [(200, 4), (20, 64), (30, 1)]
)  # the second has singular covariances
def test_frechet_of_a_set_and_itself_is_zero(n, f):
    x = normal(n, f)
    assert frechet_distance(x, x[::-1]) == pytest.approx(0, abs=1e-6)
    assert frechet_distance(x, x + 3) == pytest.approx(9 * f, rel=1e-6)
    assert frechet_distance(x, 1e4 + x) == pytest.approx(1e8 * f, rel=1e-6)


def slow_mmd(x, y):
    def k(a, b):
        return (sum(p * q for p, q in zip(a, b, strict=True)) / len(a) + 1) ** 3

    n = len(x)
    pairs = [(i, j) for i in range(n) for j in range(n) if i != j]
    within = sum(k(x[i], x[j]) + k(y[i], y[j]) for i, j in pairs) / len(pairs)
    return within - 2 * sum(k(a, b) for a in x for b in y) / n**2


def test_kernel_distance_is_the_sum_over_pairs():
    x, y = normal(12, 3), normal(12, 3, seed=1, mean=0.5)
    assert kernel_distance(x, y, num_blocks=1).value == pytest.approx(slow_mmd(x, y), rel=1e-10)
    assert math.isnan(kernel_distance(x, y, num_blocks=1).stderr)


def test_blocks_of_rows_change_nothing(monkeypatch):
    x, y = normal(90, 3), normal(90, 3, seed=1, mean=0.5)
    functions = (frechet_distance, kernel_distance, precision_recall_density_coverage)
    whole = [function(x, y) for function in functions]
    monkeypatch.setattr(quality, "BLOCK", 7)
    for function, expected in zip(functions, whole, strict=True):
        np.testing.assert_allclose(function(x, y), expected, rtol=1e-10)


def test_kernel_distance_is_that_of_three_moments():
    """In 1D (xy + 1)^3 = sum_j C(3, j) x^j y^j, so MMD^2 = sum_j C(3, j) (E x^j - E y^j)^2."""
    expected = 3 * 0.5**2 + 3 * (1 - (0.25 + 2.25)) ** 2 + (0 - (0.125 + 3 * 0.5 * 2.25)) ** 2
    many = [
        kernel_distance(
            normal(4000, 1, seed),
            normal(4000, 1, seed + 99, mean=0.5, scale=1.5),
            num_blocks=20,
            seed=seed,
        )
        for seed in range(12)
    ]
    errors = [(estimate.value - expected) / estimate.stderr for estimate in many]
    assert abs(np.mean(errors)) < 3.5 / math.sqrt(len(many))
    assert 0.5 < np.std(errors) < 1.8  # the standard error is the size of the error


def test_kernel_distance_of_one_distribution_is_zero_and_of_a_shift_is_not():
    same = [kernel_distance(normal(1000, 8, 2 * s), normal(1000, 8, 2 * s + 1)) for s in range(20)]
    assert abs(np.mean([e.value / e.stderr for e in same])) < 1
    assert min(e.value for e in same) < 0  # unbiased, so on either side of 0
    shifted = kernel_distance(normal(1000, 8), normal(1000, 8, 1, mean=0.3))
    assert shifted.value > 5 * shifted.stderr


def test_kernel_distance_does_not_depend_on_the_order_of_the_examples():
    x, y = normal(1000, 1), normal(1000, 1, seed=1)
    as_drawn, by_class = kernel_distance(x, y), kernel_distance(np.sort(x, axis=0), y)
    assert (
        by_class.stderr < 2 * as_drawn.stderr
    )  # without the shuffle it would be 40 times as large
    assert abs(by_class.value) < 4 * by_class.stderr


def slow_prdc(x, y, k):
    def radius(points, i):
        return sorted(math.dist(points[i], p) for j, p in enumerate(points) if j != i)[k - 1]

    rx, ry = ([radius(a, i) for i in range(len(a))] for a in (x, y))
    in_x = [[math.dist(b, a) <= r for a, r in zip(x, rx, strict=True)] for b in y]
    in_y = [[math.dist(a, b) <= r for b, r in zip(y, ry, strict=True)] for a in x]
    return (
        np.mean([any(row) for row in in_x]),
        np.mean([any(row) for row in in_y]),
        np.sum(in_x) / (k * len(y)),
        np.mean(np.any(in_x, axis=0)),
    )


@pytest.mark.parametrize("k", [1, 3, 5])
@pytest.mark.parametrize(("mean", "scale"), [(0.0, 1.0), (1.0, 0.3), (100.0, 2.0)])
def test_neighbors_are_those_of_loops(k, mean, scale, monkeypatch):
    monkeypatch.setattr(quality, "BLOCK", 16)
    x, y = normal(70, 3), normal(40, 3, seed=1, mean=mean, scale=scale)
    np.testing.assert_allclose(
        precision_recall_density_coverage(x, y, num_neighbors=k), slow_prdc(x, y, k), rtol=1e-12
    )


def test_neighbors_by_hand():
    x = np.array([[0.0], [1.0], [3.0], [10.0]])  # radii for k = 1: 1, 1, 2, 7
    y = np.array([[0.5], [4.0], [20.0]])  # radii 3.5, 3.5, 16
    precision, recall, density, coverage = precision_recall_density_coverage(x, y, num_neighbors=1)
    assert precision == pytest.approx(2 / 3)  # 20 is in no ball
    assert recall == 1.0  # 0, 1, 3 by 0.5; 10 by 20
    assert density == pytest.approx((2 + 2) / 3)  # 0.5 in those of 0, 1; 4 in those of 3 and 10
    assert coverage == 1.0


def test_neighbors_of_one_distribution_are_as_expected():
    """E[density] = 1, coverage = 1 - prod_{i=1..k} (N - i) / (N + M - i) (Naeem et al., 2020)."""
    n, m, k = 1000, 800, 5
    many = np.array(
        [
            precision_recall_density_coverage(normal(n, 2, 2 * s), normal(m, 2, 2 * s + 1))
            for s in range(6)
        ]
    )
    expected = 1 - np.prod([(n - i) / (n + m - i) for i in range(1, k + 1)])
    assert many[:, 2].mean() == pytest.approx(1, abs=0.03)
    assert many[:, 3].mean() == pytest.approx(expected, abs=0.01)


def test_neighbors_tell_poor_samples_from_few_kinds():
    modes = np.repeat([-20.0, 20.0], 500)[:, None]
    x = modes + normal(1000, 2)
    one_mode = precision_recall_density_coverage(x, x[:500] + 0.1 * normal(500, 2, seed=1))
    assert one_mode.precision > 0.9
    assert one_mode.recall < 0.6
    assert one_mode.coverage < 0.55
    noise = precision_recall_density_coverage(x, normal(500, 2, seed=2, scale=30.0))
    assert noise.precision < 0.2
    assert noise.density < 0.2


def test_copies_lie_in_the_balls_of_what_they_copy():
    x = normal(50, 3) + 1e3
    copies = precision_recall_density_coverage(x, np.repeat(x[:1], 20, axis=0))
    assert copies.precision == 1.0
    assert copies.recall == 1 / 50
    assert precision_recall_density_coverage(x, x) == (
        1.0,
        1.0,
        pytest.approx(1.2),
        1.0,
    )  # k neighbors and itself, over k


@pytest.mark.parametrize("where", ["real", "generated"])
def test_one_far_point_changes_nothing_for_the_others(where):
    x, y = normal(60, 3), normal(60, 3, seed=1, mean=1.5, scale=0.5)
    sets = {"real": x, "generated": y}
    before = precision_recall_density_coverage(x, y, num_neighbors=2)
    assert 0 < before.precision < 1
    assert 0 < before.recall < 1
    far = dict(sets)
    far[where] = np.concatenate([sets[where], [[1e9, 0, 0]]])
    expected = slow_prdc(far["real"], far["generated"], 2)
    after = precision_recall_density_coverage(far["real"], far["generated"], num_neighbors=2)
    np.testing.assert_allclose(after, expected, rtol=1e-12)
    assert max(after) < 2


def test_close_sets_far_from_the_origin_keep_their_neighbors():
    x, y = 1e6 + 1e-3 * normal(40, 2), 1e6 + 1e-3 * normal(40, 2, seed=1, mean=2.0)
    x[0] = -1e6
    np.testing.assert_allclose(
        precision_recall_density_coverage(x, y, num_neighbors=2), slow_prdc(x, y, 2), rtol=1e-12
    )


class Pixels:
    name = "pixels"

    def __call__(self, images):
        return images.reshape(len(images), -1)


def test_numbers_carry_the_name_of_their_features():
    x, y = normal(60).reshape(60, 2, 2, 1), normal(60, seed=1).reshape(60, 2, 2, 1)
    numbers = sample_quality(x, y, Pixels())
    assert numbers["frechet[pixels]"] == frechet_distance(x.reshape(60, 4), y.reshape(60, 4))
    assert {name.split("[")[0] for name in numbers} == {
        *("frechet", "kernel", "kernel_stderr", "precision", "recall", "density", "coverage")
    }


def test_bad_input():
    x = normal(30)
    with pytest.raises(InputError, match=r"generated.shape\[1\] = 3: must match real, 4"):
        frechet_distance(x, normal(30, 3))
    broken = x.copy()
    broken[2, 1] = np.nan
    with pytest.raises(
        InputError, match=r"real: is nan at \[2, 1\], one of 1 such; must be finite"
    ):
        frechet_distance(broken, x)
    with pytest.raises(InputError, match=r"generated: has shape \(30,\); must be \[N, F\]"):
        frechet_distance(x, x[:, 0])
    with pytest.raises(
        InputError, match=r"real: has shape \(30, 4\); must be \[N, F\] with N at least 40"
    ):
        kernel_distance(x, x, num_blocks=20)
    with pytest.raises(
        InputError, match=r"generated: has shape \(5, 4\); must be \[N, F\] with N at least 6"
    ):
        precision_recall_density_coverage(x, x[:5])
    with pytest.raises(InputError, match="num_neighbors = 0: must be at least 1"):
        precision_recall_density_coverage(x, x, num_neighbors=0)
    with pytest.raises(InputError, match="must be an array of numbers"):
        frechet_distance([["a"]], x)
