"""Representation quality of codes [N, D]: linear probes, nearest neighbors and clustering.

All are fitted to training codes and measured on test codes. Probes standardize every dimension by
the mean and standard deviation of the training codes (by 1 if it is 0). Neighbors and clusters
don't by default: the prior defines the scale of distances, and standardizing would amplify the
noise of unused dimensions. `standardize=True` standardizes them too.
"""

import math
from typing import Any, NamedTuple

import numpy as np

from vae_jax.errors import InputError, check_range
from vae_jax.evaluation.common import Estimate, accuracy_estimate, check_same, labels, matrix

MAX_STEPS = 1000  # L-BFGS steps of the logistic regression


class Clusters(NamedTuple):
    """Agreement of clusters with classes; 1 if they are identical."""

    nmi: float  # normalized mutual information
    ari: float  # adjusted Rand index; its expectation is 0 for random clusters


def linear_probe(
    train: Any, train_labels: Any, test: Any, test_labels: Any, *, strength: float = 1.0
) -> Estimate:
    """Test accuracy of a multinomial logistic regression on standardized codes.

    It minimizes sum_n -log p(y_n | z_n) + |W|^2 / (2 strength) over weights W [D, classes] and
    biases; for two classes, over one vector W [D] and the sigmoid of W z + b. The standard error is
    sqrt(a (1 - a) / N) for N test examples.

    Raises:
      InputError: a single class, or codes and labels that do not fit each other.
    """
    from sklearn.linear_model import LogisticRegression

    check_range("strength", strength, 0, open_low=True)
    train, test = _codes(train, test, standardize=True)
    train_labels, test_labels = _classes(train_labels, test_labels, train, test)
    if len(np.unique(train_labels)) < 2:
        raise InputError("train_labels: has a single class; a probe needs at least two")
    model = LogisticRegression(C=strength, max_iter=MAX_STEPS).fit(train, train_labels)
    return accuracy_estimate(model.predict(test), test_labels)


def ridge_probe(
    train: Any, train_targets: Any, test: Any, test_targets: Any, *, penalty: float = 1.0
) -> np.ndarray:
    """Test R^2 [T] of a linear map from standardized codes to targets [N, T], or [N].

    The map minimizes sum_n |y_n - W z_n - b|^2 + penalty |W|^2 over the training set. R^2 is 1 -
    sum_n (y_n - prediction)^2 / sum_n (y_n - mean of the test targets)^2: at most 1, negative if
    poor, NaN for a target that is constant in the test set.
    """
    from sklearn.linear_model import Ridge

    check_range("penalty", penalty, 0)
    train, test = _codes(train, test, standardize=True)
    train_targets, test_targets = _targets(train_targets, test_targets, train, test)
    model = Ridge(alpha=penalty).fit(train, train_targets)
    predicted = model.predict(test).reshape(test_targets.shape)
    residual = np.square(test_targets - predicted).sum(axis=0)
    total = np.square(test_targets - test_targets.mean(axis=0)).sum(axis=0)
    return 1 - residual / np.where(total > 0, total, np.nan)


def knn_accuracy(
    train: Any,
    train_labels: Any,
    test: Any,
    test_labels: Any,
    *,
    num_neighbors: int = 10,
    standardize: bool = False,
) -> Estimate:
    """Test accuracy of the most frequent class of the k nearest training codes (Euclidean).

    Ties go to the first class in order. The standard error is as for `linear_probe`.
    """
    from sklearn.neighbors import KNeighborsClassifier

    train, test = _codes(train, test, standardize=standardize)
    check_range("num_neighbors", num_neighbors, 1, len(train))
    train_labels, test_labels = _classes(train_labels, test_labels, train, test)
    model = KNeighborsClassifier(n_neighbors=num_neighbors).fit(train, train_labels)
    return accuracy_estimate(model.predict(test), test_labels)


def clustering(
    train: Any,
    test: Any,
    test_labels: Any,
    *,
    num_clusters: int | None = None,
    num_restarts: int = 10,
    seed: int = 0,
    standardize: bool = False,
) -> Clusters:
    """Agreement of the classes of the test codes with k-means clusters of the training codes.

        NMI = 2 I(c; y) / (H(c) + H(y))
        ARI = (sum_ij C(n_ij, 2) - e) / ((a + b) / 2 - e),
        a = sum_i C(n_i., 2), b = sum_j C(n_.j, 2), e = a b / C(N, 2)

    with n_ij the number of examples in cluster i and class j (Hubert and Arabie, 1985). Each test
    code belongs to the nearest cluster center. Training labels are not used.

    Args:
      num_clusters: the number of classes in `test_labels` by default.
      num_restarts: k-means++ runs, of which the tightest clusters are used.

    Both are NaN if all test examples are of one class, which any clusters agree with or none.
    """
    from sklearn.cluster import KMeans
    from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

    train, test = _codes(train, test, standardize=standardize)
    classes = labels("test_labels", test_labels, len(test))
    num_clusters = len(np.unique(classes)) if num_clusters is None else num_clusters
    check_range("num_clusters", num_clusters, 1, len(train))
    check_range("num_restarts", num_restarts, 1)
    if len(np.unique(classes)) < 2:
        return Clusters(nmi=math.nan, ari=math.nan)
    clusters = KMeans(num_clusters, n_init=num_restarts, random_state=seed).fit(train).predict(test)
    return Clusters(
        nmi=float(normalized_mutual_info_score(classes, clusters)),
        ari=float(adjusted_rand_score(classes, clusters)),
    )


def _codes(train: Any, test: Any, *, standardize: bool) -> tuple[np.ndarray, np.ndarray]:
    train, test = matrix("train", train, min_length=2), matrix("test", test)
    check_same("test.shape[1]", test.shape[1], "train", train.shape[1])
    if not standardize:
        return train, test
    mean, scale = train.mean(axis=0), train.std(axis=0)
    scale = np.where(scale > 1e-12 * np.abs(mean), scale, 1.0)  # constant up to rounding
    return (train - mean) / scale, (test - mean) / scale


def _classes(
    train_labels: Any, test_labels: Any, train: np.ndarray, test: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    train_labels = labels("train_labels", train_labels, len(train))
    return train_labels, labels("test_labels", test_labels, len(test))


def _targets(
    train_targets: Any, test_targets: Any, train: np.ndarray, test: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    if np.ndim(train_targets) == 1:
        train_targets = np.asarray(train_targets)[:, None]
        test_targets = (
            np.asarray(test_targets)[:, None] if np.ndim(test_targets) == 1 else test_targets
        )
    train_targets = matrix("train_targets", train_targets)
    test_targets = matrix("test_targets", test_targets)
    expected = (len(test), train_targets.shape[1])
    check_same("test_targets.shape", test_targets.shape, "test", expected)
    check_same("len(train_targets)", len(train_targets), "train", len(train))
    return train_targets, test_targets
