"""Anomalies outside the range of the data, and anomalies on another scale."""

import os

import numpy as np
import pytest

from vae_jax.config import Config
from vae_jax.errors import InputError
from vae_jax.experiment import builders, train_and_evaluate
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
