"""Runs on a table in its own units: trained, resumed, evaluated, loaded, streamed and swept."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import vae_jax
from vae_jax.config import Config
from vae_jax.errors import InputError
from vae_jax.experiment import evaluate, evaluate_workdir, train_and_evaluate
from vae_jax.experiment.storage.checkpoint import Checkpoints
from vae_jax.experiment.storage.description import check_same_data
from vae_jax.experiment.training import loop

RNG = np.random.default_rng(0)
Z = RNG.normal(size=(500, 1))
SCALE = np.array([1e9, 1.0, 1e-6])
TABLE = (Z + 0.3 * RNG.normal(size=(500, 3))) * SCALE + [3e9, 0, 5e-6]


def config_of(folder, *, scale=1.0, streaming=False, **fields) -> Config:
    """A small run on the table; `scale` makes other units."""
    path = folder / f"table{scale:g}.npz"
    np.savez(path, train_images=TABLE[:400] * scale, test_images=TABLE[400:] * scale)
    config = Config(name="table")
    config.data.name = "npz"
    config.data.path = str(path)
    config.data.streaming = streaming
    config.model.hidden = (16,)
    config.model.latent_dim = 2
    config.train.num_steps = config.train.eval_every = 300
    config.train.batch_size = 32
    config.optimizer.learning_rate = 1e-2
    for name, value in fields.items():
        group, _, field = name.partition("__")
        setattr(getattr(config, group), field, value)
    return config


@pytest.fixture(scope="module", autouse=True)
def without_figures():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluate, "plot_runs", lambda contexts: None)
        yield


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished run: its folder, config and results."""
    folder = tmp_path_factory.mktemp("table")
    config = config_of(folder)
    return folder, config, train_and_evaluate(config, folder / "run")


def test_it_trains_to_the_entropy_of_the_columns(finished):
    _, _, results = finished
    # Standardized, the columns are Gaussian with correlation 1 / 1.09.
    covariance = np.eye(3) * 0.09 + 1
    entropy = 0.5 * np.linalg.slogdet(2 * np.pi * np.e * covariance)[1] + np.log(SCALE).sum()
    assert -entropy - 0.5 < results["test"]["elbo"] < -entropy + 0.5
    assert results["likelihood"] == "gaussian"


def test_the_workdir_holds_the_resolved_config_and_the_units(finished):
    folder, _, _ = finished
    saved = json.loads((folder / "run" / "config.json").read_text())
    assert (saved["model"]["likelihood"], saved["model"]["sigma"]) == ("gaussian", "channel")
    assert (saved["model"]["network"], saved["data"]["binarization"]) == ("mlp", "none")
    with Checkpoints(folder / "run", for_writing=False) as checkpoints:
        described = checkpoints.describe(300)
    assert described.units == vae_jax.load(folder / "run").model.units
    np.testing.assert_allclose(described.units.density.scale, TABLE[:400].std(0), rtol=0.1)


def test_a_second_evaluation_and_a_loaded_model_give_the_same_numbers(finished):
    folder, config, results = finished
    again = evaluate_workdir(folder / "run", config)
    assert again["test"] == results["test"]
    model = vae_jax.load(folder / "run")
    x = jnp.float32(TABLE[400:])
    outputs = model.model.apply(model.params, x, jax.random.key(0), num_samples=200)
    elbo = float(outputs.log_px_z.mean() - outputs.kl.mean())
    assert abs(elbo - results["test"]["elbo"]) < 0.2
    samples = np.asarray(model.sample(jax.random.key(0), 1000))
    assert (np.abs(samples.mean(0) - TABLE.mean(0)) < 0.3 * SCALE).all()
    assert (samples.std(0) > 0.5 * SCALE).all()
    mean_error = np.abs(np.asarray(model.reconstruct(x)) - TABLE[400:]).mean(0)
    assert (mean_error < 0.6 * SCALE).all()


@pytest.mark.slow
def test_a_resumed_run_ends_in_the_same_bits(finished, tmp_path, monkeypatch):
    folder, _, _ = finished
    halves = config_of(folder, train__eval_every=150)
    whole = train_and_evaluate(halves, tmp_path / "whole")
    calls = loop.plan_calls

    def first_half(step, config):
        return iter(list(calls(step, config))[:2])  # 100 and 150

    with monkeypatch.context() as patch:
        patch.setattr(loop, "plan_calls", first_half)
        train_and_evaluate(halves, tmp_path / "half")
    resumed = train_and_evaluate(halves, tmp_path / "half")
    assert resumed["step"] == whole["step"]
    assert resumed["test"] == whole["test"]
    a, b = (vae_jax.load(tmp_path / name).params for name in ("whole", "half"))
    for left, right in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_array_equal(left, right)


@pytest.mark.slow
def test_a_streamed_table_gives_the_same_numbers(finished, tmp_path):
    folder, _, results = finished
    streamed = train_and_evaluate(config_of(folder, streaming=True), tmp_path)
    assert streamed["test"] == results["test"]


@pytest.mark.slow
def test_other_units_of_the_same_table_change_the_bound_by_their_logs(finished, tmp_path):
    folder, _, results = finished
    small = train_and_evaluate(config_of(folder, scale=2.0**-20), tmp_path)
    expected = results["test"]["elbo"] + 3 * 20 * np.log(2)
    np.testing.assert_allclose(small["test"]["elbo"], expected, rtol=1e-4)


def test_a_checkpoint_without_units_is_not_taken_for_one_with_them(finished):
    folder, _, _ = finished
    with Checkpoints(folder / "run", for_writing=False) as checkpoints:
        saved = checkpoints.describe(300)
    check_same_data(saved.data, saved.units, saved, "here")
    with pytest.raises(InputError, match="here: was trained with other units of its columns"):
        check_same_data(saved.data, None, saved, "here")
