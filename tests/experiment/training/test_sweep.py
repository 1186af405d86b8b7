"""Sweeps: a trial equals the single run, whatever is swept and however trials are laid out.

Nothing is lost, and one bad trial stops no other.
"""

import json
import logging
import shutil
import types

import jax
import numpy as np
import pytest
from test_loop import small

import vae_jax
from vae_jax import visualize
from vae_jax.config import Config, Sweep, from_dict, sweep, value_of
from vae_jax.errors import InputError, RunStopped
from vae_jax.experiment import evaluate, figures, results, run
from vae_jax.experiment.storage import checkpoint
from vae_jax.experiment.training import loop, trainers

TWO_BY_TWO = {"sweep__seed": (3, 4), "sweep__beta": (1.0, 0.5)}
NAMES = ["beta=1,seed=3", "beta=1,seed=4", "beta=0.5,seed=3", "beta=0.5,seed=4"]


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("runs") / "swept"
    return workdir, loop.train_and_evaluate(small(**TWO_BY_TWO), workdir)


@pytest.fixture
def no_figures(monkeypatch):
    monkeypatch.setattr(visualize, "plot_all", lambda *args, **kwargs: [])


def largest_difference(tree, other):
    """Return the largest difference of an array, relative to its norm."""
    pairs = zip(jax.tree.leaves(tree), jax.tree.leaves(other), strict=True)
    return max(float(np.linalg.norm(a - b) / max(np.linalg.norm(b), 1e-12)) for a, b in pairs)


def test_trials_are_all_combinations_named_by_their_values():
    trials = sweep.trial_configs(small(**TWO_BY_TWO))
    assert list(trials) == NAMES
    assert trials["beta=0.5,seed=4"] == small(seed=4, objective__beta=0.5)
    assert sweep.trial_configs(small()) == {}
    assert sweep.trial_values(list(trials.values()))["beta"].tolist() == [1.0, 1.0, 0.5, 0.5]


def test_every_list_of_a_sweep_has_its_field():
    fields = set(vars(Sweep())) - {"chunk"}
    assert fields == set(sweep.PATHS)
    for name, path in sweep.PATHS.items():
        config = sweep.with_values(Config(), {name: 7})
        assert value_of(config, path) == 7
        assert config != Config()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"sweep__beta": (1.0, 2.0, 1.0)}, r"config\.sweep\.beta = .*twice"),
        ({"sweep__beta": (1.0, -2.0)}, r"config\.objective\.beta = -2\.0: must be at least 0"),
        (
            {"sweep__seed": (0, 1.5)},
            r"config\.sweep\.seed = \(0, 1\.5\): must be a tuple of integers",
        ),
        ({"sweep__learning_rate": ("x",)}, r"config\.sweep\.learning_rate = .*tuple of numbers"),
        (
            {"sweep__chunk": -1, "sweep__seed": (0, 1)},
            r"config\.sweep\.chunk = -1: must be at least 0",
        ),
        (
            {"sweep__ema_decay": (0.0, 0.1)},
            r"config\.sweep\.ema_decay = \(0\.0, 0\.1\): must be all 0 or all above",
        ),
        (
            {"sweep__init_sigma": (0.1, 0.2)},
            r"trial init_sigma=0\.1: config\.model\.init_sigma = 0\.1: does nothing without",
        ),
        (
            {"sweep__weight_decay": (0.0, 0.1)},
            r"weight_decay = 0\.1: does nothing without optimizer.name 'adamw'",
        ),
    ],
)
def test_what_cannot_be_swept_is_refused(fields, message, tmp_path):
    with pytest.raises(InputError, match=message):
        loop.train_and_evaluate(small(**fields), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_sweep_survives_json():
    config = small(**TWO_BY_TWO)
    assert from_dict(json.loads(json.dumps(vars(config), default=vars))) == config


def test_a_trial_is_the_run_alone(swept, tmp_path):
    workdir, _ = swept
    loop.train_and_evaluate(small(seed=4, objective__beta=0.5), tmp_path / "alone")
    trial = workdir / "trials" / NAMES[3]
    assert {path.name for path in trial.iterdir()} == {
        path.name for path in (tmp_path / "alone").iterdir()
    }
    mine, alone = vae_jax.load(workdir, trial=3, step=40), vae_jax.load(tmp_path / "alone", step=40)
    assert largest_difference(mine.params, alone.params) < 1e-5
    assert mine.config == alone.config
    for split in ("valid", "test"):
        ours, theirs = (
            json.loads((path / "results.json").read_text())[split]
            for path in (trial, tmp_path / "alone")
        )
        assert ours == pytest.approx(theirs, rel=1e-5, abs=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("chunk", "fields"),
    [
        (0, {"learning_rate": (1e-3, 5e-3), "clip_norm": (0.0, 5.0), "ema_decay": (0.99,)}),
        (
            3,
            {
                "free_bits": (0.0, 0.5),
                "capacity": (0.0, 3.0),
                "beta_steps": (10, 50),
                "warmup_steps": (20,),
            },
        ),
        (4, {"init_sigma": (0.2, 0.5), "weight_decay": (0.0, 0.1), "corruption_level": (0.1,)}),
    ],
    ids=["map", "chunks", "vmap"],
)
def test_over_200_steps_with_anything_swept(chunk, fields, tmp_path):
    config = small(
        train__num_steps=200, optimizer__schedule="cosine", objective__beta_schedule="sigmoid"
    )
    config.objective.beta_steps = 30
    if "init_sigma" in fields:
        config.model.likelihood, config.data.binarization, config.optimizer.name = (
            "gaussian",
            "none",
            "adamw",
        )
        config.objective.corruption = "gaussian"
    config.sweep = Sweep(**fields)
    runs = run.make_runs(config, tmp_path)
    trials = trainers.SweepTrainer(runs, chunk=chunk)
    state, metrics = trials.epoch(200)(trials.initial(), trials.source)
    chosen = 2 if chunk else 1  # not the same trial each time
    alone = trainers.SingleRunTrainer(runs[chosen])
    assert (
        largest_difference(trials.split(trials.initial())[chosen].params, alone.initial().params)
        == 0
    )
    own_state, own_metrics = alone.epoch(200)(alone.initial(), alone.source)
    assert largest_difference(trials.split(state)[chosen].eval_params, own_state.eval_params) < 1e-5
    np.testing.assert_allclose(
        trials.split(metrics)[chosen]["loss"], own_metrics["loss"], rtol=1e-5
    )
    others = [trials.split(state)[other].params for other in range(len(runs)) if other != chosen]
    assert (
        max(largest_difference(other, own_state.params) for other in others) > 1e-3
    )  # the trials do differ


def test_results_and_figure_of_a_sweep(swept, capsys):
    workdir, numbers = swept
    written = json.loads((workdir / "results.json").read_text())
    assert list(written["trials"]) == list(numbers["trials"]) == NAMES
    assert written["swept"] == {"seed": [3, 4], "beta": [1.0, 0.5]}
    assert (workdir / "figures" / "rate_distortion.png").stat().st_size > 5_000
    assert results.describe(numbers).count("test ELBO") == 4
    assert list(written["settings"]) == ["beta=1", "beta=0.5"]
    first = [written["trials"][name]["valid"]["elbo"] for name in NAMES[:2]]
    valid = written["settings"]["beta=1"]["valid"]
    assert (valid["elbo"], valid["elbo_std"]) == pytest.approx(
        (np.mean(first), np.std(first, ddof=1))
    )
    means = {name: entry["valid"]["elbo"] for name, entry in written["settings"].items()}
    assert written["best"]["setting"] == max(means, key=means.get)
    assert "mean elbo of 2 seeds on test" in results.describe(numbers)
    again = evaluate.evaluate_workdir(workdir)
    for name in NAMES:
        timeless = [
            {key: value for key, value in trial.items() if key not in ("seconds", "training")}
            for trial in (again["trials"][name], numbers["trials"][name])
        ]
        assert timeless[0] == timeless[1]


def test_the_front_joins_betas_and_spreads_over_seeds():
    points = [
        ({"seed": s, "beta": b}, {"rate": 10 / b + s, "distortion": 50 + b - s})
        for s in (0, 2)
        for b in (4.0, 1.0)
    ]
    axes = visualize.rate_distortion(points).axes[0]
    line = axes.containers[0].lines[0]
    np.testing.assert_allclose(
        line.get_xdata(), [11.0, 3.5]
    )  # beta = 1, then 4; means over the seeds
    np.testing.assert_allclose(line.get_ydata(), [50.0, 53.0])
    bars = axes.containers[0].lines[2][0].get_segments()
    np.testing.assert_allclose(bars[0][:, 0], [11 - np.sqrt(2), 11 + np.sqrt(2)])
    assert {text.get_text() for text in axes.texts} >= {"β = 1", "β = 4"}
    two_lines = visualize.rate_distortion(
        [(v | {"free_bits": f}, n) for v, n in points for f in (0.0, 0.5)]
    ).axes[0]
    assert {text.get_text() for text in two_lines.get_legend().texts} == {
        "free_bits = 0",
        "free_bits = 0.5",
    }


def test_the_front_has_the_format_that_is_asked_for(tmp_path):
    config = Config()
    config.sweep.beta = (1.0, 2.0)
    config.evaluation.figures = "svg"
    runs = []
    for beta in config.sweep.beta:
        trial = Config()
        trial.objective.beta = beta
        runs.append(types.SimpleNamespace(config=trial, workdir=tmp_path / f"beta={beta}"))
    trials = {run.workdir.name: {"test": {"rate": 5.0, "distortion": 9.0}} for run in runs}
    figures.plot_front(runs, trials, config, tmp_path)
    names = {path.name for path in (tmp_path / "figures").iterdir()}
    assert names == {"rate_distortion.png", "rate_distortion.svg"}


@pytest.mark.parametrize(
    ("trial", "message"),
    [
        (None, r"holds a sweep; give one of beta=1,seed=3, "),
        (4, r"trial = 4: must be from 0 to 3"),
        ("beta=1,seed=5", r"did you mean 'beta=1,seed=[34]'"),
    ],
)
def test_load_of_a_trial_that_is_not_there(swept, trial, message):
    with pytest.raises(InputError, match=message):
        vae_jax.load(swept[0], trial=trial)


def test_load_takes_a_trial_by_name_number_or_folder(swept):
    by_name, by_number = vae_jax.load(swept[0], trial=NAMES[1]), vae_jax.load(swept[0], trial=1)
    folder = vae_jax.load(swept[0] / "trials" / NAMES[1])
    assert (
        largest_difference(by_name.params, by_number.params)
        == largest_difference(by_name.params, folder.params)
        == 0
    )
    with pytest.raises(InputError, match="contains no sweep"):
        vae_jax.load(swept[0] / "trials" / NAMES[1], trial=0)


def test_killed_while_trials_are_saved_it_ends_in_the_same_bits(
    swept, tmp_path, monkeypatch, no_figures
):
    real, count = checkpoint.Checkpoints.save, []

    def dies(*args):
        count.append(1)
        if len(count) == 4 + 3:  # two of the four trials have the second checkpoint
            raise KeyboardInterrupt
        return real(*args)

    monkeypatch.setattr(checkpoint.Checkpoints, "save", dies)
    config = small(train__keep_checkpoints=1, **TWO_BY_TWO)
    with pytest.raises(KeyboardInterrupt):
        loop.train_and_evaluate(config, tmp_path / "run")
    monkeypatch.undo()
    steps = {path.name for path in (tmp_path / "run" / "trials").glob("*/checkpoints/[0-9]*")}
    assert steps == {"20", "40"}
    loop.train_and_evaluate(config, tmp_path / "run")
    for trial in range(4):
        ours, theirs = (
            vae_jax.load(workdir, trial=trial, step=40) for workdir in (tmp_path / "run", swept[0])
        )
        assert largest_difference(ours.params, theirs.params) == 0


def test_one_bad_trial_leaves_the_others(swept, tmp_path, caplog, no_figures):
    config = small(sweep__learning_rate=(1e-3, 1e30), train__max_skipped_in_a_row=5)
    with (
        caplog.at_level(logging.WARNING),
        pytest.raises(RunStopped, match=r"1 of 2 trials failed.*\n.*learning_rate=1e\+30"),
    ):
        loop.train_and_evaluate(config, tmp_path / "run")
    assert "the other trials continue" in caplog.text
    written = json.loads((tmp_path / "run" / "results.json").read_text())
    assert list(written["failed"]) == ["learning_rate=1e+30"]
    assert written["settings"]["learning_rate=1e+30"]["num_failed"] == 1
    assert written["best"]["setting"] == "learning_rate=0.001"
    alone, trial = (
        vae_jax.load(swept[0], trial=0, step=40),
        vae_jax.load(tmp_path / "run", trial=0, step=40),
    )
    assert largest_difference(trial.params, alone.params) < 1e-5


@pytest.mark.slow
def test_trials_with_and_without_clipping_come_back(tmp_path, no_figures):
    config = small(sweep__clip_norm=(0.0, 0.1), sweep__ema_decay=(0.9,), train__num_steps=20)
    loop.train_and_evaluate(config, tmp_path / "run")
    plain, clipped = (vae_jax.load(tmp_path / "run", trial=trial) for trial in range(2))
    assert plain.config.optimizer.clip_norm == 0
    assert largest_difference(clipped.params, plain.params) > 1e-4
    config.sweep.chunk = 2
    loop.train_and_evaluate(
        config, tmp_path / "run"
    )  # how many at a time is no part of what a run is


def test_all_trials_bad_stops_the_sweep(tmp_path):
    with pytest.raises(RunStopped, match=r"5 steps in a row"):
        loop.train_and_evaluate(
            small(sweep__learning_rate=(1e29, 1e30), train__max_skipped_in_a_row=5),
            tmp_path / "run",
        )


def test_a_trial_missing_from_the_workdir_costs_the_others_nothing(swept, tmp_path):
    copy = shutil.copytree(swept[0], tmp_path / "copy")
    shutil.rmtree(copy / "trials" / NAMES[2] / "checkpoints")
    with pytest.raises(InputError, match="no checkpoint of the same step"):
        loop.train_and_evaluate(small(**TWO_BY_TWO), copy)
    assert {path.name for path in (copy / "trials" / NAMES[1] / "checkpoints").iterdir()} == {
        "20",
        "40",
    }
