"""Probes, neighbors and clusters against closed forms, loops and codes whose answer is known."""

import math
from collections import Counter

import numpy as np
import pytest
from scipy import optimize

from vae_jax.errors import InputError
from vae_jax.evaluation.representation import clustering, knn_accuracy, linear_probe, ridge_probe


def blobs(n=200, distance=6.0, seed=0, f=3):
    """Three Gaussian classes of unit variance, and a large dimension without information."""
    rng = np.random.default_rng(seed)
    y = rng.integers(3, size=n)
    z = rng.normal(size=(n, f))
    z[:, 0] += distance * y
    return z, y


def test_a_probe_of_separate_classes_and_of_noise():
    assert linear_probe(*blobs(), *blobs(seed=1)).value > 0.98
    rng = np.random.default_rng(2)
    z, y = rng.normal(size=(2000, 3)), rng.integers(3, size=2000)
    estimate = linear_probe(z[:1000], y[:1000], z[1000:], y[1000:])
    assert abs(estimate.value - 1 / 3) < 4 * estimate.stderr
    assert estimate.stderr == pytest.approx(math.sqrt(estimate.value * (1 - estimate.value) / 1000))


@pytest.mark.parametrize("num_classes", [2, 3])
@pytest.mark.parametrize("strength", [0.003, 1.0])
def test_a_probe_is_the_minimum_of_its_formula(num_classes, strength):
    (z, y), (test, test_y) = blobs(150, distance=1.5), blobs(4000, distance=1.5, seed=1)
    y, test_y = (np.minimum(labels, num_classes - 1) for labels in (y, test_y))
    s, t = ((codes - z.mean(0)) / z.std(0) for codes in (z, test))

    def logits(v, codes):
        if num_classes == 3:
            return codes @ v[:9].reshape(3, 3) + v[9:]
        return (codes @ v[:3] + v[3])[:, None] * [0, 1]

    def loss(v):
        out, penalized = logits(v, s), 3 * (1 if num_classes == 2 else 3)
        log_likelihood = out[np.arange(150), y] - np.log(np.exp(out).sum(1))
        return -log_likelihood.sum() + np.sum(v[:penalized] ** 2) / (2 * strength)

    v = optimize.minimize(loss, np.zeros(4 if num_classes == 2 else 12)).x
    expected = np.mean(logits(v, t).argmax(1) == test_y)
    assert linear_probe(z, y, test, test_y, strength=strength).value == pytest.approx(
        expected, abs=2 / 4000
    )


def test_probes_do_not_depend_on_the_scale_of_the_codes():
    (z, y), (test, test_y) = blobs(distance=1.0), blobs(distance=1.0, seed=1)
    scale, shift = np.array([1e-3, 1.0, 1e3]), np.array([5.0, 0.0, -7.0])
    scaled = linear_probe(scale * z + shift, y, scale * test + shift, test_y)
    assert scaled == linear_probe(z, y, test, test_y)
    np.testing.assert_allclose(
        ridge_probe(scale * z + shift, z[:, :2], scale * test + shift, test[:, :2]),
        ridge_probe(z, z[:, :2], test, test[:, :2]),
        rtol=1e-6,
    )


def test_names_of_classes_and_constant_dimensions_will_do():
    z, y = blobs()
    z[:, 1] = 0.1
    names = np.array(["a", "b", "c"])[y]
    assert linear_probe(z, names, z, names) == linear_probe(z, y, z, y)
    assert knn_accuracy(z, names, z, names, standardize=True).value > 0.95


@pytest.mark.parametrize("penalty", [0.0, 1.0, 30.0])
def test_ridge_is_its_closed_form(penalty):
    rng = np.random.default_rng(0)
    z, test = 3 * rng.normal(size=(60, 4)) + 1, rng.normal(size=(50, 4))
    true = rng.normal(size=(4, 2))
    y, test_y = (a @ true + 0.5 * rng.normal(size=(len(a), 2)) - 2 for a in (z, test))
    s, t = ((a - z.mean(0)) / z.std(0) for a in (z, test))
    w = np.linalg.solve(s.T @ s + penalty * np.eye(4), s.T @ (y - y.mean(0)))
    residual = test_y - t @ w - y.mean(0)
    expected = 1 - (residual**2).sum(0) / ((test_y - test_y.mean(0)) ** 2).sum(0)
    np.testing.assert_allclose(
        ridge_probe(z, y, test, test_y, penalty=penalty), expected, rtol=1e-9
    )
    np.testing.assert_allclose(
        ridge_probe(z, y[:, 0], test, test_y[:, 0], penalty=penalty), expected[:1], rtol=1e-9
    )


def test_a_target_that_does_not_vary_has_no_r_squared():
    z = np.random.default_rng(0).normal(size=(20, 2))
    varying, constant = ridge_probe(z, np.c_[z[:, 0], np.ones(20)], z, np.c_[z[:, 0], np.ones(20)])
    assert varying > 0.9
    assert math.isnan(constant)


@pytest.mark.parametrize("k", [1, 4])
def test_neighbors_are_those_of_loops(k):
    (z, y), (test, test_y) = blobs(60, distance=1.5), blobs(40, distance=1.5, seed=1)
    right = []
    for code, label in zip(test, test_y, strict=True):
        nearest = sorted(range(len(z)), key=lambda i: math.dist(z[i], code))[:k]
        votes = Counter(y[i] for i in nearest)
        right.append(min(votes, key=lambda c: (-votes[c], c)) == label)
    estimate = knn_accuracy(z, y, test, test_y, num_neighbors=k)
    assert estimate.value == pytest.approx(np.mean(right))
    assert estimate.stderr == pytest.approx(math.sqrt(np.mean(right) * (1 - np.mean(right)) / 40))


def test_neighbors_and_clusters_are_standardized_only_when_asked():
    z, y = blobs()
    z[:, 2] *= 1e3
    assert knn_accuracy(z[:100], y[:100], z[100:], y[100:]).value < 0.7
    assert knn_accuracy(z[:100], y[:100], z[100:], y[100:], standardize=True).value > 0.8
    z[:, 2] *= 1e-6
    assert clustering(z, z, y).ari > 0.9
    assert clustering(z, z, y, standardize=True).ari < 0.9


def agreement(clusters, classes):
    """NMI and ARI from the table of counts, by their formulas."""
    table = np.array(
        [
            [np.sum((clusters == c) & (classes == y)) for y in np.unique(classes)]
            for c in np.unique(clusters)
        ]
    )
    n = table.sum()
    p, pc, py = table / n, table.sum(1) / n, table.sum(0) / n
    information = sum(
        p[i, j] * math.log(p[i, j] / (pc[i] * py[j])) for i, j in zip(*np.nonzero(p), strict=True)
    )
    entropies = -sum(q * math.log(q) for q in pc) - sum(q * math.log(q) for q in py)
    a, b = (sum(math.comb(int(m), 2) for m in table.sum(axis)) for axis in (1, 0))
    e = a * b / math.comb(int(n), 2)
    return 2 * information / entropies, (sum(math.comb(int(m), 2) for m in table.flat) - e) / (
        (a + b) / 2 - e
    )


def test_agreement_of_clusters_is_that_of_the_table_of_counts():
    rng = np.random.default_rng(0)
    z = np.repeat([0.0, 10.0, 20.0], 40)[:, None] + 0.1 * rng.normal(size=(120, 1))
    clusters = np.repeat([0, 1, 2], 40)  # what k-means must find
    classes = np.where(rng.uniform(size=120) < 0.3, rng.integers(3, size=120), clusters)
    np.testing.assert_allclose(clustering(z, z, classes), agreement(clusters, classes), rtol=1e-9)
    halves = np.minimum(classes, 1)
    np.testing.assert_allclose(
        clustering(z, z, halves, num_clusters=3), agreement(clusters, halves), rtol=1e-9
    )
    assert clustering(z, z, clusters) == (pytest.approx(1), pytest.approx(1))


def test_centers_are_those_of_the_training_codes():
    train = np.array([[0.0], [0.1], [10.0], [10.1]])
    test = np.array(
        [[1.0], [2.0], [3.0], [4.0]]
    )  # all near the first center, though they have two halves
    assert clustering(train, test, [0, 0, 1, 1]) == (0.0, 0.0)


@pytest.mark.parametrize("classes", [[0], [1, 1, 1]])
def test_clusters_agree_with_no_single_class(classes):
    train = np.array([[0.0], [0.1], [10.0], [10.1]])
    assert np.isnan(clustering(train, train[: len(classes)], classes)).all()


def test_bad_input():
    z, y = blobs(20)
    with pytest.raises(InputError, match=r"train_labels: has shape \(19,\); must be \[20\]"):
        linear_probe(z, y[1:], z, y)
    with pytest.raises(
        InputError, match=r"test_labels: holds \d\.5; classes must be integers or names"
    ):
        knn_accuracy(z, y, z, y + 0.5)
    with pytest.raises(InputError, match=r"test.shape\[1\] = 2: must match train, 3"):
        linear_probe(z, y, z[:, 1:], y)
    with pytest.raises(InputError, match="num_neighbors = 21: must be at least 1 and at most 20"):
        knn_accuracy(z, y, z, y, num_neighbors=21)
    with pytest.raises(InputError, match="train_labels: has a single class"):
        linear_probe(z, 0 * y, z, y)
    with pytest.raises(InputError, match="num_clusters = 0: must be at least 1 and at most 20"):
        clustering(z, z, y, num_clusters=0)
    with pytest.raises(
        InputError, match=r"test_targets.shape = \(20, 1\): must match test, \(20, 2\)"
    ):
        ridge_probe(z, z[:, :2], z, z[:, :1])
    with pytest.raises(InputError, match="penalty = -1: must be at least 0"):
        ridge_probe(z, z, z, z, penalty=-1)
    with pytest.raises(InputError, match="strength = 0: must be greater than 0"):
        linear_probe(z, y, z, y, strength=0)
