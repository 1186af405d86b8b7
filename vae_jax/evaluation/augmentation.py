"""Data augmentation: the accuracy of a classifier with and without generated examples.

The classifier is scikit-learn's `MLPClassifier`, one hidden ReLU layer trained with Adam. The
number of updates is the same with and without the generated examples, so the gain is not due to
more training.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from vae_jax.errors import InputError, check_range
from vae_jax.evaluation.common import Estimate, check_same, labels, matrix, mean_estimate

HIDDEN = 128
BLOCK = 4096  # test examples classified at once


class Gain(NamedTuple):
    """Test accuracies and their difference: means and standard errors over the seeds.

    The errors cover the variation between trainings, not between test sets or generators.
    """

    without: Estimate  # trained on the real examples
    augmented: Estimate  # trained on the real and the generated ones
    gain: Estimate  # the difference, seed by seed


def train_classifier(
    x: Any,
    y: Any,
    *,
    seed: int,
    num_updates: int = 2000,
    batch_size: int = 128,
    learning_rate: float = 1e-3,
) -> Any:
    """Fit a classifier to examples x [N, *E], unscaled, and classes y [N].

    Returns an `MLPClassifier` with `predict` for rows [N, dims]. Each update is a step of Adam on
    `batch_size` examples, in reshuffled epochs.
    """
    from sklearn.neural_network import MLPClassifier

    for field, value in {"num_updates": num_updates, "batch_size": batch_size}.items():
        check_range(field, value, 1)
    check_range("learning_rate", learning_rate, 0, open_low=True)
    x = flatten_examples("x", x)
    y = labels("y", y, len(x))
    classes = np.unique(y)
    if len(classes) < 2:
        raise InputError("y: has a single class; a classifier needs at least two")
    model = MLPClassifier(
        (HIDDEN,), batch_size=batch_size, learning_rate_init=learning_rate, random_state=seed
    )
    for rows in _batches(len(x), batch_size, num_updates, np.random.default_rng(seed)):
        model.partial_fit(x[rows], y[rows], classes=classes)
    return model


def augmentation_gain(
    real_x: Any,
    real_y: Any,
    generated_x: Any,
    generated_y: Any,
    test_x: Any,
    test_y: Any,
    *,
    seeds: Sequence[int] = (0, 1, 2, 3, 4),
    num_updates: int = 2000,
) -> Gain:
    """Test accuracy after training on the real examples, and on real and generated ones together.

    A seed determines initial weights and order. Both trainings of a seed start from the same
    weights, unless the generated examples have a class that the real ones lack.

    Args:
      real_x, generated_x, test_x: [N, *E], any N each, in the same range of values, preferably [0,
        1].
      real_y, generated_y, test_y: classes [N].
    """
    check_range("len(seeds)", len(seeds), 1)
    sets = {
        "real": (real_x, real_y),
        "generated": (generated_x, generated_y),
        "test": (test_x, test_y),
    }
    x = {name: flatten_examples(f"{name}_x", values) for name, (values, _) in sets.items()}
    y = {name: labels(f"{name}_y", values, len(x[name])) for name, (_, values) in sets.items()}
    for name in ("generated", "test"):
        check_same(f"the dimensions of {name}_x", x[name].shape[1], "real_x", x["real"].shape[1])
    both = np.concatenate([x["real"], x["generated"]]), np.concatenate([y["real"], y["generated"]])

    num_blocks = -(-len(x["test"]) // BLOCK)

    def accuracy(x_train: np.ndarray, y_train: np.ndarray, seed: int) -> float:
        model = train_classifier(x_train, y_train, seed=seed, num_updates=num_updates)
        predicted = [model.predict(some) for some in np.array_split(x["test"], num_blocks)]
        return float(np.mean(np.concatenate(predicted) == y["test"]))

    without = np.array([accuracy(x["real"], y["real"], seed) for seed in seeds])
    augmented = np.array([accuracy(*both, seed) for seed in seeds])
    return Gain(*map(mean_estimate, (without, augmented, augmented - without)))


def flatten_examples(field: str, x: Any) -> np.ndarray:
    """Examples [N, *E] as float64 [N, dims], unscaled; raises InputError unless they are finite."""
    x = np.asarray(x)
    return matrix(field, x.reshape(len(x), -1) if x.ndim > 1 and x.size else x)


def _batches(
    num_examples: int, batch_size: int, num_updates: int, rng: np.random.Generator
) -> list[np.ndarray]:
    """Rows [batch_size] of each update: consecutive slices of reshuffled epochs."""
    num_epochs = -(-num_updates * batch_size // num_examples)
    order = np.concatenate([rng.permutation(num_examples) for _ in range(num_epochs)])
    return list(order[: num_updates * batch_size].reshape(num_updates, batch_size))
