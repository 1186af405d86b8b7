"""Examples without a label, y = -1, are no class of their own in the metrics."""

import os

import jax
import numpy as np
import pytest
from test_suite import make_context, small

from vae_jax.errors import InputError
from vae_jax.experiment import metrics
from vae_jax.experiment.metrics import labels


def context_of(tmp_path, name, x, train_y, test_y, *asked, **changes):
    path = tmp_path / f"{name}.npz"
    arrays = {"train_images": x[: len(train_y)], "test_images": x[-len(test_y) :]}
    np.savez(path, train_labels=train_y, test_labels=test_y, **arrays)
    changes |= {"data__name": "npz", "data__path": os.fspath(path), "train__batch_size": 8}
    return make_context(small(*asked, **changes), tmp_path / name)


@pytest.fixture
def points():
    """Eight-pixel images of three classes, and a part without labels."""
    rng = np.random.default_rng(0)
    y = np.arange(140) % 3
    x = (rng.random((140, 8)) < np.eye(3, 8)[y] * 0.6 + 0.2).astype(np.uint8)
    marked = np.where(rng.random(140) < 0.4, -1, y)
    return x, y, marked


def test_the_probes_are_those_of_the_labeled_examples(points, tmp_path):
    x, _, marked = points
    train_y, test_y = marked[:100], marked[100:]
    context = context_of(tmp_path, "some", x, train_y, test_y, "representation")
    numbers = metrics.METRICS["representation"](context, jax.random.key(0))
    dataset = context.dataset
    parts = [np.asarray(source.labels) for source in (dataset.train, dataset.test)]
    assert numbers["num_unlabeled"] == sum(int(np.sum(part == -1)) for part in parts) > 20
    assert numbers["num_train"] == np.sum(parts[0] >= 0)
    assert numbers["num_examples"] == np.sum(parts[1] >= 0)
    assert f"without the {numbers['num_unlabeled']} examples" in numbers["estimator"]
    key = jax.random.key(0)
    codes = [context.codes(source, key) for source in (dataset.train, dataset.test)]
    kept = [entry["code"][part >= 0] for entry, part in zip(codes, parts, strict=True)]
    expected = labels.linear_probe(
        kept[0], parts[0][parts[0] >= 0], kept[1], parts[1][parts[1] >= 0]
    )
    assert numbers["linear_probe"] == pytest.approx(expected.value)


def test_no_labels_at_all(points, tmp_path):
    x, y, _ = points
    context = context_of(tmp_path, "none", x, y[:100], np.full(40, -1), "representation")
    with pytest.raises(InputError, match="no test example has a label"):
        metrics.METRICS["representation"](context, jax.random.key(0))
