"""What codes [N, D] say of labels: linear probes, nearest neighbors and clusters, fitted to train and measured on test.

A probe standardizes: from every dimension it takes the mean over the training codes, and divides by their standard deviation
(by 1 where that is 0). Neighbors and clusters take the codes as they are, since the prior gives distances their scale and
standardizing would blow up the noise of dimensions that are not in use; `standardize=True` standardizes them too.
"""

from typing import Any, NamedTuple

import numpy as np

from vae_jax.errors import InputError, check_range
from vae_jax.evaluation.common import Estimate, accuracy_estimate, check_same, labels, matrix

MAX_STEPS = 1000  # of L-BFGS in the logistic regression


class Clusters(NamedTuple):
    """How far clusters agree with classes; 1 where they are the same."""

    nmi: float  # normalized mutual information
    ari: float  # adjusted Rand index, with expectation 0 for clusters at random


def linear_probe(
    train: Any, train_labels: Any, test: Any, test_labels: Any, *, strength: float = 1.0
) -> Estimate:
    """Accuracy on the test codes of a multinomial logistic regression fitted to the training codes.

    It minimizes sum_n -log p(y_n | z_n) + |W|^2 / (2 strength) over weights W [D, classes] and biases, of standardized codes;
    of two classes, over one vector W [D] and the sigmoid of W z + b. The standard error sqrt(a (1 - a) / N) is that of the N
    test examples.
    """
    from sklearn.linear_model import LogisticRegression

    check_range("strength", strength, 0, open_low=True)
    train, test = _codes(train, test, standardize=True)
    train_labels, test_labels = _classes(train_labels, test_labels, train, test)
    if len(np.unique(train_labels)) < 2:
        raise InputError("train_labels: has a single class; a probe needs two at least")
    model = LogisticRegression(C=strength, max_iter=MAX_STEPS).fit(train, train_labels)
    return accuracy_estimate(model.predict(test), test_labels)


def ridge_probe(
    train: Any, train_targets: Any, test: Any, test_targets: Any, *, penalty: float = 1.0
) -> np.ndarray:
    """R^2 on the test codes of a linear map to targets [N, T], or [N], for each of the T; as large as 1, negative if poor.

    The map minimizes sum_n |y_n - W z_n - b|^2 + penalty |W|^2 over the training set, of standardized codes. R^2 is
    1 - sum_n (y_n - prediction)^2 / sum_n (y_n - mean of the test targets)^2, NaN for a target that does not vary there.
    """
    from sklearn.linear_model import Ridge

    check_range("penalty", penalty, 0)
    train, test = _codes(train, test, standardize=True)
    train_targets, test_targets = _targets(train_targets, test_targets, train, test)
    predicted = (
        Ridge(alpha=penalty).fit(train, train_targets).predict(test).reshape(test_targets.shape)
    )
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
    """Accuracy on the test codes of the most frequent class of the k nearest training codes, by Euclidean distance.

    Of classes that are as frequent it takes the first in order. The standard error is as for `linear_probe`.
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
    """Agreement of the classes of the test codes with the k-means center, of the training codes, that each is nearest to.

        NMI = 2 I(c; y) / (H(c) + H(y))
        ARI = (sum_ij C(n_ij, 2) - e) / ((a + b) / 2 - e),  a = sum_i C(n_i., 2), b = sum_j C(n_.j, 2), e = a b / C(N, 2)

    with n_ij the examples in cluster i and class j (Hubert and Arabie, 1985). No training label is used.

    Args:
      num_clusters: as many as there are classes in `test_labels`, unless given.
      num_restarts: of k-means++, of which the tightest clusters are kept.
    """
    from sklearn.cluster import KMeans
    from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

    train, test = _codes(train, test, standardize=standardize)
    classes = labels("test_labels", test_labels, len(test))
    num_clusters = len(np.unique(classes)) if num_clusters is None else num_clusters
    check_range("num_clusters", num_clusters, 1, len(train))
    check_range("num_restarts", num_restarts, 1)
    clusters = KMeans(num_clusters, n_init=num_restarts, random_state=seed).fit(train).predict(test)
    return Clusters(
        nmi=float(normalized_mutual_info_score(classes, clusters)),
        ari=float(adjusted_rand_score(classes, clusters)),
    )


def _codes(train: Any, test: Any, *, standardize: bool) -> tuple[np.ndarray, np.ndarray]:
    train, test = matrix("train", train, least=2), matrix("test", test)
    check_same("test.shape[1]", test.shape[1], "train", train.shape[1])
    if not standardize:
        return train, test
    mean, scale = train.mean(axis=0), train.std(axis=0)
    scale = np.where(
        scale > 1e-12 * np.abs(mean), scale, 1.0
    )  # a constant, but for the rounding of its mean
    return (train - mean) / scale, (test - mean) / scale


def _classes(
    train_labels: Any, test_labels: Any, train: np.ndarray, test: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    return labels("train_labels", train_labels, len(train)), labels(
        "test_labels", test_labels, len(test)
    )


def _targets(
    train_targets: Any, test_targets: Any, train: np.ndarray, test: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    one_target = np.ndim(train_targets) == 1
    both = [
        np.asarray(t)[:, None] if one_target and np.ndim(t) == 1 else t
        for t in (train_targets, test_targets)
    ]
    both = matrix("train_targets", both[0]), matrix("test_targets", both[1])
    check_same("test_targets.shape", both[1].shape, "test", (len(test), both[0].shape[1]))
    check_same("len(train_targets)", len(both[0]), "train", len(train))
    return both
