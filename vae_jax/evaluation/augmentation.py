"""What generated examples are worth to a classifier: its accuracy with and without them.

The classifier is scikit-learn's `MLPClassifier`, one hidden layer of rectifiers under Adam. It takes the same number of updates
with and without the generated examples, so that the gain is not that of more training.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from vae_jax.errors import InputError, check_range
from vae_jax.evaluation.common import Estimate, check_same, labels, matrix, mean_estimate

HIDDEN = 128


class Gain(NamedTuple):
    """Accuracies on the test set and their difference, means over the seeds; the standard errors are over the seeds too.

    They say how far another training would differ, and nothing of another test set or another generator.
    """

    without: Estimate  # trained on the real examples
    augmented: Estimate  # trained on the real and the generated ones
    gain: Estimate  # of the difference, seed by seed


def train_classifier(
    x: Any,
    y: Any,
    *,
    seed: int,
    num_updates: int = 2000,
    batch_size: int = 128,
    learning_rate: float = 1e-3,
) -> Any:
    """A classifier, with `predict` for rows [N, dims], fitted to examples x [N, *E] in their own scale and classes y [N].

    Each update is a step of Adam on `batch_size` examples; they come in epochs, each in an order of its own.
    """
    from sklearn.neural_network import MLPClassifier

    for field, value in {"num_updates": num_updates, "batch_size": batch_size}.items():
        check_range(field, value, 1)
    check_range("learning_rate", learning_rate, 0, open_low=True)
    x = flatten_examples("x", x)
    y = labels("y", y, len(x))
    classes = np.unique(y)
    if len(classes) < 2:
        raise InputError("y: has a single class; a classifier needs two at least")
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
    """Accuracy on the test set after training on the real examples, and on these and the generated ones together.

    A seed decides initial weights and order. Both trainings of a seed begin with the same weights, where the generated
    examples have no class that the real ones lack.

    Args:
      real_x, generated_x, test_x: [N, *E], of any N each; in one range of values, best [0, 1].
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

    def accuracy(x_train: np.ndarray, y_train: np.ndarray, seed: int) -> float:
        model = train_classifier(x_train, y_train, seed=seed, num_updates=num_updates)
        return float(np.mean(model.predict(x["test"]) == y["test"]))

    without = np.array([accuracy(x["real"], y["real"], seed) for seed in seeds])
    augmented = np.array([accuracy(*both, seed) for seed in seeds])
    return Gain(
        mean_estimate(without), mean_estimate(augmented), mean_estimate(augmented - without)
    )


def flatten_examples(field: str, x: Any) -> np.ndarray:
    """Examples [N, *E] as float64 [N, dims], in their own scale; InputError where they are not finite numbers."""
    x = np.asarray(x)
    return matrix(field, x.reshape(len(x), -1) if x.ndim > 1 and x.size else x)


def _batches(
    num_examples: int, batch_size: int, num_updates: int, rng: np.random.Generator
) -> list[np.ndarray]:
    """Rows [batch_size] of each update: consecutive stretches of epoch after epoch, each a permutation of all examples."""
    num_epochs = -(-num_updates * batch_size // num_examples)
    order = np.concatenate([rng.permutation(num_examples) for _ in range(num_epochs)])
    return list(order[: num_updates * batch_size].reshape(num_updates, batch_size))
