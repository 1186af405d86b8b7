"""Anomalies outside the range of the data, and anomalies on another scale."""

import os

import numpy as np
import pytest

from vae_jax.config import Config
from vae_jax.errors import InputError
from vae_jax.experiment import builders, train_and_evaluate
from vae_jax.experiment.metrics import anomaly
from vae_jax.experiment.validation import validate


def config_of(folder, normal, anomalies, **model) -> Config:
    for name, rows in (("data", normal), ("odd", anomalies)):
        np.savez(folder / f"{name}.npz", train_images=rows, test_images=rows[:20])
    config = Config()
    config.data.name, config.data.path = "npz", os.fspath(folder / "data.npz")
    config.evaluation.anomaly = os.fspath(folder / "odd.npz")
    config.evaluation.metrics = ("anomaly",)
    config.evaluation.likelihood_samples = 2
    config.model.hidden, config.model.latent_dim = (4,), 2
    config.train.num_steps, config.train.batch_size = 2, 4
    for name, value in model.items():
        setattr(config.model, name, value)
    return config


def test_values_outside_the_range_lose_only_the_score_of_eight_bits(tmp_path) -> None:
    normal = np.random.default_rng(0).normal(size=(40, 4))
    config = config_of(tmp_path, normal, 9 * normal, likelihood="gaussian")
    result = train_and_evaluate(config, tmp_path / "run")["metrics"]["anomaly"]
    assert set(result["scores"]) == {"reconstruction", "elbo", "likelihood"}
    assert "likelihood_less_[...] is omitted" in result["estimator"]
    assert result["scores"]["elbo"]["auroc"] > 0.9


def test_anomalies_without_density_have_the_highest_scores(tmp_path) -> None:
    """Negative values where the likelihood is of positive ones."""
    normal = 0.1 + np.abs(np.random.default_rng(0).normal(size=(40, 4)))
    columns = {"likelihood": "mixed", "columns": ("positive*4",)}
    config = config_of(tmp_path, normal, -normal, **columns)
    config.data.binarization = "none"
    result = train_and_evaluate(config, tmp_path / "run")["metrics"]["anomaly"]
    assert (
        "by likelihood is infinity for 0 of 20 normal, 20 of 20 anomalous, 0 of"
        in result["estimator"]
    )
    assert {name: numbers["auroc"] for name, numbers in result["scores"].items()} == {
        "reconstruction": 1,
        "elbo": 1,
        "likelihood": 1,
    }


@pytest.mark.parametrize(
    ("arrays", "count"),
    [
        ({"test_images": 9}, 9),
        ({"x": 9}, 9),
        ({"anything": 3}, 3),
        ({"train_images": 4, "train_labels": 4}, 4),
        ({"train_images": 30, "test_images": 7}, 7),
        ({"val_images": 5}, 5),
    ],
)
def test_all_examples_of_a_file_without_a_test_split_are_anomalies(tmp_path, arrays, count):
    rows = np.random.default_rng(0).integers(0, 256, (40, 3)).astype(np.uint8)
    config = config_of(tmp_path, rows, rows)
    np.savez(tmp_path / "odd.npz", **{name: rows[:size] for name, size in arrays.items()})
    name, source = builders.build_anomalies(config)
    assert (name, source.num_examples) == ("odd", count)
    np.testing.assert_allclose(source.images * source.scale, rows[:count] / 255, rtol=1e-6)


def test_anomalies_are_extreme_without_a_warning(tmp_path, caplog) -> None:
    rows = np.random.default_rng(0).normal(size=(40, 4))
    config = config_of(tmp_path, rows, rows)
    odd = rows[:20].copy()
    odd[3, 1], odd[:, 2] = 1e7, 5.0
    np.savez(tmp_path / "odd.npz", test_images=odd)
    for missing in (False, True):
        config.data.missing = missing
        assert builders.build_anomalies(config)[1].value_range[1] == 1e7
    odd[:, 0] = np.nan  # a column that all anomalies lack
    np.savez(tmp_path / "odd.npz", train_images=odd)
    source = builders.build_anomalies(config)[1]
    assert not source.observed[:, 0].any()
    assert not caplog.messages


@pytest.mark.parametrize(
    ("rows", "part"),
    [
        (np.arange(40).reshape(10, 4) % 17, "integers from 0 to 16 are divided by 255"),
        (np.zeros((10, 3, 8, 8), np.uint8), "images of 3x8 with 8 channels"),
    ],
)
def test_a_warning_about_anomalies_comes_once(tmp_path, caplog, rows, part) -> None:
    config = config_of(tmp_path, rows, rows)
    np.savez(tmp_path / "odd.npz", test_images=rows)
    builders.build_anomalies(config)
    [message] = caplog.messages
    assert part in message


@pytest.mark.parametrize(
    ("value", "missing", "part"),
    [
        (np.nan, False, "test_images has 40 values that are NaN or infinite"),
        (np.nan, True, "test_images has no observed value"),
        (-3.0, False, "needs values in [0, 1]"),
    ],
)
def test_anomalies_that_cannot_be_read_are_refused(tmp_path, value, missing, part) -> None:
    rows = np.full((10, 4), value)
    config = config_of(tmp_path, np.zeros((10, 4)), rows)
    np.savez(tmp_path / "odd.npz", test_images=rows)
    config.data.missing, config.data.binarization = missing, "threshold"
    with pytest.raises(InputError) as error:
        builders.build_anomalies(config)
    assert part in str(error.value)


def test_an_array_file_of_any_format_has_anomalies(tmp_path, monkeypatch):
    rows = np.random.default_rng(0).normal(size=(40, 3))
    config = config_of(tmp_path, rows, rows)
    np.save(tmp_path / "odd.npy", rows[:6])
    monkeypatch.chdir(tmp_path)
    config.evaluation.anomaly = "odd.npy"
    assert builders.build_anomalies(config)[1].num_examples == 6
    np.savez(tmp_path / "odd.npz", test_labels=np.arange(3), codes=rows)
    config.evaluation.anomaly = "odd.npz"
    with pytest.raises(InputError, match=r"^config\.evaluation\.anomaly = 'odd\.npz': no array"):
        builders.build_anomalies(config)


def test_images_of_anomalies_on_another_scale_are_named(caplog):
    for given, shape in (
        ((0, 255), (4, 4, 1)),
        ((-1, 1), (4, 4, 1)),
        ((0, 1), (4, 4, 1)),
        (
            (0, 255),
            (4,),
        ),
    ):
        anomaly._warn_of_scale("odd", given, (0.0, 1.0), shape)
    assert [message.partition(", the data")[0] for message in caplog.messages] == [
        "config.evaluation.anomaly: odd has values from 0 to 255",
        "config.evaluation.anomaly: odd has values from -1 to 1",
    ]


@pytest.mark.parametrize(
    ("normal", "anomalies", "part"),
    [
        (np.eye(40, 4), 2 * np.eye(40, 4), "must be in the range of likelihood 'bernoulli'"),
        (np.eye(40, 4, dtype=np.uint8), np.full((40, 4), 200, np.uint8), "one scale"),
        (np.full((40, 4), 200, np.uint8), np.eye(40, 4, dtype=np.uint8), "one scale"),
    ],
)
def test_anomalies_that_cannot_be_compared_are_refused(tmp_path, normal, anomalies, part) -> None:
    config = config_of(tmp_path, normal, anomalies)
    with pytest.raises(InputError) as error:
        validate(config, builders.build_data(config))
    assert part in str(error.value)
