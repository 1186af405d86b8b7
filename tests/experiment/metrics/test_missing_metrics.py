"""Metrics of data with missing values: of the observed values, whatever stands at the others."""

import dataclasses
import os

import numpy as np
import pytest
from test_suite import make_context, measure, numbers_in, small

from vae_jax.config import Config
from vae_jax.errors import InputError
from vae_jax.experiment import builders, metrics
from vae_jax.experiment.validation import validate

RNG = np.random.default_rng(0)
X = np.float32(np.round(3 * RNG.random((180, 6, 6))) / 3)
LABELS = RNG.integers(0, 2, 180)
OBSERVED = RNG.random(X.shape) < 0.7
SPLITS = {"train": slice(0, 100), "valid": slice(100, 120), "test": slice(120, 180)}


def write(folder, fill=0.0):
    """Images of noise; `fill` stands where they are missing."""
    path = folder / f"data{fill}.npz"
    x = np.where(OBSERVED, X, np.float32(fill))
    arrays = {}
    for split, rows in SPLITS.items():
        arrays |= {f"{split}_images": x[rows], f"{split}_observed": OBSERVED[rows]}
        arrays[f"{split}_labels"] = LABELS[rows]
    np.savez(path, **arrays)
    return os.fspath(path)


def config_of(path, *asked):
    config = small(*asked, model__likelihood="gaussian")
    config.data.name, config.data.path = "npz", path
    config.data.binarization, config.data.missing = "none", True
    config.evaluation.anomaly = path if "anomaly" in asked else ""
    return config


def test_bits_and_errors_are_of_observed_values(tmp_path):
    result = measure(config_of(write(tmp_path), "likelihood", "reconstruction"), tmp_path / "run")
    likelihood = result["likelihood"]
    per_value = -likelihood["log_likelihood"] / likelihood["observed_values"] / np.log(2)
    assert likelihood["bits_per_dim"] == pytest.approx(per_value)
    assert likelihood["observed_values"] == pytest.approx(OBSERVED[120:].mean() * 36)
    assert "psnr" in result["reconstruction"]
    assert "ssim" not in result["reconstruction"]
    assert "of the observed values alone" in result["reconstruction"]["estimator"]


@pytest.mark.slow
def test_all_metrics_are_those_of_other_values_at_missing_entries(tmp_path):
    asked = (
        "likelihood", "annealed", "gap", "decomposition", "reconstruction", "representation",
        "anomaly",
    )  # fmt: skip
    results = []
    for fill in (0.0, 1.0):
        (tmp_path / f"run{fill}").mkdir()
        context = make_context(config_of(write(tmp_path, fill), *asked), tmp_path / f"run{fill}")
        results.append({name: numbers for name, numbers, _ in metrics.measure(context)})
    assert set(results[0]) == {"collapse", *asked}
    for name in results[0]:
        first, second = (list(numbers_in(result[name])) for result in results)
        assert np.isfinite(first).all(), name
        assert first == second, name
    scores = results[0]["anomaly"]["scores"]
    assert set(scores) == {
        f"{score}{suffix}"
        for score in ("reconstruction", "elbo", "likelihood")
        for suffix in ("", "_per_value")
    }


@pytest.mark.parametrize("metric", ["compression", "quality", "augmentation"])
def test_metrics_of_complete_images_are_refused(tmp_path, metric):
    config = Config()
    config.data = dataclasses.replace(config.data, name="npz", path=write(tmp_path), missing=True)
    config.evaluation.metrics, config.train.batch_size = (metric,), 50
    if metric == "compression":
        config.model.likelihood, config.model.levels = "discretized_logistic", 4
    if metric == "augmentation":
        config.model.conditioning = "label"
    with pytest.raises(InputError, match="it needs examples without missing values"):
        validate(config, builders.build_data(config))
