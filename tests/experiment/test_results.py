"""`results.json` as an object, and the best parameters handed on to the evaluation."""

import json

import jax
import jax.numpy as jnp
import pytest

from vae_jax import experiment
from vae_jax.config import Config, Sweep
from vae_jax.errors import InputError, RunStopped
from vae_jax.experiment import builders, evaluate, figures
from vae_jax.experiment import results as results_module
from vae_jax.experiment.measurement import evaluator
from vae_jax.experiment.measurement.best import Best
from vae_jax.experiment.results import Results, describe
from vae_jax.experiment.run import make_runs
from vae_jax.experiment.selection import Selection
from vae_jax.experiment.training import loop

EARLIER = {
    "step": 40,
    "training_command": "train",
    "evaluation": {"seed": 0},
    "metrics": {"gap": {"inference_gap": 1.0}, "codes": {"perplexity": 2.0}},
    "seconds": {"gap": 3.0, "codes": 4.0},
    "evaluation_of": {"codes": {"seed": 7}},
}


def small(**changes):
    config = Config(name="small", **changes)
    config.data.binarization = "threshold"
    config.model.hidden, config.model.latent_dim = (8,), 2
    config.train.num_steps, config.train.batch_size = 20, 64
    config.train.log_every = config.train.eval_every = 10
    return config


def opened(workdir, content):
    (workdir / "results.json").write_text(content)
    return Results(workdir)


@pytest.mark.parametrize("content", ["", "{", "[1]", "null"])
def test_a_damaged_file_counts_as_empty(content, tmp_path):
    results = opened(tmp_path, content)
    assert results.earlier == {}
    assert results.metrics_of(40) == {"metrics": {}, "seconds": {}, "evaluation_of": {}}
    results.put({"step": 40, "elbo": float("nan")})
    assert json.loads((tmp_path / "results.json").read_text()) == {"step": 40, "elbo": None}


def test_metrics_of_the_same_step_stay_with_the_config_that_made_them(tmp_path):
    results = opened(tmp_path, json.dumps(EARLIER))
    assert results.metrics_of(20)["metrics"] == {}
    parts = results.metrics_of(40)
    assert parts["metrics"] == EARLIER["metrics"]
    assert parts["evaluation_of"] == {"gap": {"seed": 0}, "codes": {"seed": 7}}
    results.put(parts)
    results.put_metric("gap", {"inference_gap": 5.0}, 6.0)
    written = json.loads((tmp_path / "results.json").read_text())
    assert written["metrics"] == EARLIER["metrics"] | {"gap": {"inference_gap": 5.0}}
    assert written["seconds"] == {"gap": 6.0, "codes": 4.0}
    assert written["evaluation_of"] == {"codes": {"seed": 7}}


def test_the_training_command_is_that_of_the_step(tmp_path):
    results = opened(tmp_path, json.dumps(EARLIER))
    assert results.training_command(40, is_training=True) == {"training_command": "train"}
    assert results.training_command(20, is_training=False) == {"training_command": "train"}
    assert results.training_command(20, is_training=True)["training_command"] != "train"
    assert opened(tmp_path, "{}").training_command(20, is_training=False) == {}


def test_a_sweep_knows_whether_its_trials_are_at_the_same_steps(tmp_path):
    results = opened(tmp_path, json.dumps({"trials": {"a": {"step": 1}, "b": {"step": 2}}}))
    assert results.has_steps({"b": {"step": 2}, "a": {"step": 1}})
    assert not results.has_steps({"a": {"step": 1}, "b": {"step": 3}})
    assert not results.has_steps({"a": {"step": 1}})


def test_after_training_the_model_is_not_rebuilt_and_sigma_fitted_once(tmp_path, monkeypatch):
    calls = {"build_model": 0, "fit_sigma": 0}

    def count(module, name):
        function = getattr(module, name)

        def counting(*arguments):
            calls[name] += 1
            return function(*arguments)

        monkeypatch.setattr(module, name, counting)

    count(builders, "build_model")
    count(evaluator, "fit_sigma")
    config = small()
    config.model.likelihood, config.data.binarization = "optimal_gaussian", "none"
    config.evaluation.metrics = ("reconstruction",)
    trained = loop.train_and_evaluate(config, tmp_path)
    # Two validations, of which one is the best.
    assert calls == {"build_model": 1, "fit_sigma": 2}
    evaluated = evaluate.evaluate_workdir(tmp_path)
    assert calls == {"build_model": 2, "fit_sigma": 3}
    for part in ("step", "valid", "test", "metrics"):
        assert evaluated[part] == trained[part]


def test_a_trial_without_a_readable_checkpoint_leaves_the_rest(tmp_path, monkeypatch):
    monkeypatch.setattr(figures.visualize, "plot_all", lambda *_, **__: [])
    config = small(sweep=Sweep(seed=(0, 1)))
    runs = make_runs(config, tmp_path)
    for run in runs:
        run.workdir.mkdir(parents=True)
    x = jnp.zeros((1, *runs[1].dataset.shape))
    params = runs[1].model.init(jax.random.key(0), x, jax.random.key(0))
    bests = [
        InputError("checkpoint 20 is damaged"),
        Best(params, Selection(20, 20, "best")),
    ]
    with pytest.raises(RunStopped, match=r"1 of 2 trials failed.*\n.*seed=0: checkpoint 20 is"):
        evaluate.evaluate_runs(runs, bests, config, tmp_path)
    written = json.loads((tmp_path / "results.json").read_text())
    assert written["failed"] == {"seed=0": "checkpoint 20 is damaged"}
    assert list(written["trials"]) == ["seed=1"]
    assert "seed=1: test ELBO" in describe(written)
    with pytest.raises(InputError, match="checkpoint 20 is damaged"):
        evaluate.evaluate_runs(runs[:1], bests[:1], small(), tmp_path)


def test_the_command_line_is_three_functions():
    assert experiment.train_and_evaluate is loop.train_and_evaluate
    assert experiment.evaluate_workdir is evaluate.evaluate_workdir
    assert experiment.write_report.__module__.startswith("vae_jax.experiment.report")
    assert {"train_and_evaluate", "evaluate_workdir", "write_report"} <= set(dir(experiment))
    with pytest.raises(AttributeError, match="no attribute 'train'"):
        _ = experiment.train


@pytest.mark.parametrize(
    ("likelihood", "stderr", "parts"),
    [
        ("gaussian", 0.5, ("ELBO -50.00 +- 0.50 nats (", "bits/dim (of a density, ")),
        ("discretized_logistic", 0.5, ("ELBO -50.00 +- 0.50 nats (", "1.2000 bits/dim, ")),
        ("bernoulli", float("nan"), ("ELBO -50.00 nats (", "1.2000 bits/dim, ")),
    ],
)
def test_the_line_of_a_test_set_says_what_is_a_density(likelihood, stderr, parts):
    test = {"elbo": -50.0, "elbo_stderr": stderr, "distortion": 40.0, "rate": 10.0}
    test |= {"bits_per_dim": 1.2, "active_units": 2}
    data = {"name": "digits", "num_test": 9, "binarization": "none", "shape": "images of 8x8"}
    text = describe({"test": test, "data": data, "likelihood": likelihood, "step": 5})
    assert all(part in text for part in parts), text


def test_columns_are_described_with_their_errors():
    entry = {"rmse": 1.25, "rmse_stderr": 0.13, "mae": 1.0}
    unknown = dict.fromkeys(entry, float("nan"))
    numbers = {
        "numbers": {"age": entry, "dose": unknown, **{f"x{i}": entry for i in range(7)}},
        "categories": {"city": {"wrong": 0.2, "wrong_stderr": 0.01, "majority_share": 0.6}},
        "association": {"difference": 0.07, "training_rows": 0.04, "independent_columns": None},
    }
    first, second, third = results_module._describe_columns(numbers)
    assert first.startswith("RMSE by column: age 1.25 +- 0.13, dose unknown, x0 1.25")
    assert first.endswith("x3 1.25 +- 0.13, ...")
    assert second == "wrong by column: city 20.0% +- 1.0% (majority guess 40.0%)"
    assert third == "associations of columns differ by 0.070 on average (0.040 of training rows)"
    assert results_module._describe_columns({}) == []
    excluded = {"estimator": "excluded: 300 columns are more than 256"}
    assert results_module._describe_columns(excluded) == []
