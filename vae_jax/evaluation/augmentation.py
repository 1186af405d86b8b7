"""Data augmentation: the accuracy of a classifier with and without generated examples.

The classifier is scikit-learn's `MLPClassifier`, one hidden ReLU layer trained with Adam. The
number of updates is the same with and without the generated examples, so the gain is not due to
more training.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from vae_jax.errors import InputError, check_range
from vae_jax.evaluation.common import Estimate, check_same, labels, matrix, mean_estimate

HIDDEN = 128


class Gain(NamedTuple):
    """Test accuracies and their difference: means and standard errors over the seeds.

    The errors cover the variation between trainings, not between test sets or generators.
    """

    without: Estimate  # trained on the real examples
    augmented: Estimate  # trained on real and generated examples
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

    Raises:
      InputError: a single class, or a number of updates, batch size or rate that is out of
        range.
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
    test: Iterable[tuple[Any, Any]],
    *,
    seeds: Sequence[int] = (0, 1, 2, 3, 4),
    num_updates: int = 2000,
) -> Gain:
    """Test accuracy after training on real examples, and on real and generated examples.

    A seed determines initial weights and order. Both trainings of a seed start from the same
    weights, unless the generated examples have a class that the real examples lack.

    Args:
      real_x, generated_x: [N, *E], any N each, in the same range of values, preferably [0, 1].
      real_y, generated_y: classes [N].
      test: batches (x [B, *E], y [B]) of the test set, which are read once, one at a time; for
        arrays [(x, y)].
      seeds: one for each classifier.
      num_updates: steps of each training.

    Raises:
      InputError: no test examples, or examples of another shape.
    """
    check_range("len(seeds)", len(seeds), 1)
    x = {"real": flatten_examples("real_x", real_x)}
    x["generated"] = _like("generated_x", generated_x, x["real"])
    y = {
        "real": labels("real_y", real_y, len(x["real"])),
        "generated": labels("generated_y", generated_y, len(x["generated"])),
    }
    both = np.concatenate([x["real"], x["generated"]]), np.concatenate([y["real"], y["generated"]])
    models = [
        train_classifier(*data, seed=seed, num_updates=num_updates)
        for data in ((x["real"], y["real"]), both)
        for seed in seeds
    ]
    num_correct, num_examples = np.zeros(len(models), np.int64), 0
    for batch_x, batch_y in test:
        rows = _like("test_x", batch_x, x["real"])
        classes = labels("test_y", batch_y, len(rows))
        num_correct += [int(np.sum(model.predict(rows) == classes)) for model in models]
        num_examples += len(rows)
    if not num_examples:
        raise InputError("test: has no examples")
    without, augmented = (num_correct / num_examples).reshape(2, len(seeds))
    return Gain(*map(mean_estimate, (without, augmented, augmented - without)))


def _like(field: str, x: Any, real: np.ndarray) -> np.ndarray:
    """Examples [N, *E] as rows [N, dims] of the size of real examples."""
    rows = flatten_examples(field, x)
    check_same(f"the dimensions of {field}", rows.shape[1], "real_x", real.shape[1])
    return rows


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
