"""The generative factors of dsprites, shapes3d and smallnorb, from fakes of their builders."""

import types

import numpy as np
import pytest
import tensorflow_datasets as tfds

from vae_jax.data import load
from vae_jax.data import tfds as tfds_sets
from vae_jax.experiment.metrics.labels import _factor_names

SIZE = 30
LABELS = {
    "dsprites": ("shape", "scale", "orientation", "x_position", "y_position"),
    "shapes3d": ("floor_hue", "wall_hue", "object_hue", "scale", "shape", "orientation"),
    "smallnorb": ("category", "elevation", "azimuth", "lighting"),
}
SPLITS = {"dsprites": ("train",), "shapes3d": ("train",), "smallnorb": ("train", "test")}


class Records:
    """A data source in memory, as `as_data_source` returns it."""

    def __init__(self, info, rows):
        self.dataset_info, self.rows = info, rows

    def __len__(self):
        return len(self.rows)

    def __getitems__(self, index):
        return [self.rows[i] for i in index]


def fake_builder(name):
    """The features of the installed version, and rows whose label k is (row + k) % 3."""
    features = dict(tfds.builder_cls(name)._info(stand_in()).features)
    info = types.SimpleNamespace(
        name=name,
        full_name=f"{name}/2.0.0",
        features=features,
        splits=dict.fromkeys(SPLITS[name]),
        file_format=types.SimpleNamespace(value="array_record"),
    )
    rows = []
    for number in range(SIZE):
        row = {"image": np.full((4, 4, 1), number, np.uint8), "instance": 9}
        row |= {f"label_{key}": (number + k) % 3 for k, key in enumerate(LABELS[name])}
        rows.append(row)
    return types.SimpleNamespace(
        info=info, as_data_source=lambda split, decoders=None: Records(info, rows)
    )


def stand_in():
    """A stand-in for the builder, whose `_info` then needs no data directory."""
    return types.SimpleNamespace(
        version="2.0.0",
        dataset_info_from_configs=lambda features, **_: types.SimpleNamespace(features=features),
    )


@pytest.mark.parametrize("name", LABELS)
def test_y_has_the_factors_as_columns(name, monkeypatch):
    builder = fake_builder(name)
    monkeypatch.setattr(tfds_sets, "_builder", lambda *_: builder)
    dataset = load(name)
    assert dataset.factor_names == LABELS[name]
    for source in (dataset.train, dataset.valid, dataset.test):
        labels = np.asarray(source.labels)
        assert labels.shape == (source.num_examples, len(LABELS[name]))
        number = np.asarray(source.images)[:, 0, 0, 0]
        np.testing.assert_array_equal(labels, (number[:, None] + np.arange(len(LABELS[name]))) % 3)


def test_streamed_factors(monkeypatch):
    builder = fake_builder("smallnorb")
    monkeypatch.setattr(tfds_sets, "_builder", lambda *_: builder)
    dataset = load("smallnorb", streaming=True)
    batch = dataset.train.select(np.arange(5)).take(np.arange(5), None)
    np.testing.assert_array_equal(
        np.asarray(batch["y"])[:, 1] - np.asarray(batch["y"])[:, 0] - 1,
        3 * ((np.asarray(batch["y"])[:, 0] == 2) * -1),
    )
    assert batch["y"].shape == (5, 4)


def test_names_reach_the_metrics():
    factors = np.stack(np.meshgrid([0, 1], [0, 1, 2]), -1).reshape(-1, 2)
    assert _factor_names(LABELS["smallnorb"], factors, [1, 3]) == ["elevation", "lighting"]
    assert _factor_names((), factors, [1, 3]) == ["column 1", "column 3"]
    assert load("sprites").factor_names == ("shape", "scale", "orientation", "x", "y")
