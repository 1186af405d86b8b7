"""A sweep over several processes: each trains its trials, and the last one joins the results."""

import json
import logging
import os
import pathlib
import shutil
import subprocess
import sys
import time

import pytest
from one_share import SWEEP
from test_loop import small
from test_sweep import NAMES, largest_difference

import vae_jax
from vae_jax import visualize
from vae_jax.config.sweep import Share, parse_share
from vae_jax.errors import InputError, RunStopped
from vae_jax.experiment import evaluate
from vae_jax.experiment.storage.lock import describe_holder, lock_directory
from vae_jax.experiment.storage.metric_writer import read_metrics
from vae_jax.experiment.training import loop

SCRIPT = pathlib.Path(__file__).parents[2] / "programs" / "one_share.py"


@pytest.fixture(autouse=True)
def no_figures(monkeypatch):
    monkeypatch.setattr(visualize, "plot_all", lambda *args, **kwargs: [])


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("runs") / "swept"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(visualize, "plot_all", lambda *args, **kwargs: [])
        return workdir, loop.train_and_evaluate(small(**SWEEP), workdir)


def start(workdir, share, **fields):
    helpers = [SCRIPT.parents[2], SCRIPT.parents[1] / "experiment" / "training"]
    path = os.pathsep.join([*map(str, helpers), os.environ.get("PYTHONPATH", "")])
    with open(log_of(workdir, share), "a") as log:
        return subprocess.Popen(
            [sys.executable, str(SCRIPT), str(workdir), share, json.dumps(fields)],
            env=os.environ | {"PYTHONPATH": path, "JAX_PLATFORMS": "cpu"},
            stderr=log,
        )


def log_of(workdir, share):
    return workdir.with_name(f"{workdir.name}-{share.replace('/', '-')}.log")


def finish(*started):
    try:
        return [process.wait(timeout=300) for process in started]
    finally:
        for process in started:
            process.kill()


def timeless(results):
    """Results without what differs from one process to another."""
    skipped = ("seconds", "command", "training_command", "training")
    return {key: value for key, value in results.items() if key not in skipped}


def numbers_of(results):
    return {name: (trial["step"], trial["test"]["elbo"]) for name, trial in results.items()}


def assert_joined(workdir, expected):
    joined = json.loads((workdir / "results.json").read_text())
    assert list(joined["trials"]) == NAMES
    assert joined["failed"] == {}
    assert joined["swept"] == {"seed": [3, 4], "beta": [1.0, 0.5]}
    for name, trial in joined["trials"].items():
        own = json.loads((workdir / "trials" / name / "results.json").read_text())
        assert timeless(trial) == timeless(own)
        assert trial["step"] == expected["trials"][name]["step"]
        assert trial["test"]["elbo"] == pytest.approx(expected["trials"][name]["test"]["elbo"])
    assert (workdir / "figures" / "rate_distortion.png").exists()


@pytest.mark.parametrize("text", ["0/8", "9/8", "a/b", "1/0", "-1/2", "1", "1/2/3", "1.0/2", ""])
def test_bad_shares(text):
    with pytest.raises(InputError, match=r"trials = .*must be K/N with K from 1 to N") as error:
        parse_share(text)
    assert repr(text) in str(error.value)


def test_shares_part_the_trials():
    assert parse_share("2/8") == Share(2, 8)
    assert str(Share(2, 8)) == "2/8"


@pytest.mark.parametrize(
    ("share", "fields", "message"),
    [
        (Share(5, 5), SWEEP, r"trials = '5/5': the sweep has 4 trials; use at most 4 processes"),
        (Share(1, 2), {}, r"trials = '1/2': needs a sweep"),
    ],
)
def test_shares_without_trials(share, fields, message, tmp_path):
    with pytest.raises(InputError, match=message):
        loop.train_and_evaluate(small(**fields), tmp_path / "run", share=share)
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_one_after_the_other(swept, tmp_path, caplog):
    workdir = tmp_path / "run"
    with caplog.at_level(logging.INFO):
        first = loop.train_and_evaluate(small(**SWEEP), workdir, share=Share(1, 2))
    assert list(first["trials"]) == [NAMES[0], NAMES[2]]
    assert not (workdir / "results.json").exists()
    assert "2 of 4 trials are not finished" in caplog.text
    assert f"{NAMES[1]}: not finished" in caplog.text
    assert sorted(path.name for path in (workdir / "trials").iterdir()) == sorted(first["trials"])
    second = loop.train_and_evaluate(small(**SWEEP), workdir, share=Share(2, 2))
    assert list(second["trials"]) == NAMES
    assert_joined(workdir, swept[1])
    for trial in range(4):
        ours, theirs = (vae_jax.load(path, trial=trial, step=40) for path in (workdir, swept[0]))
        assert largest_difference(ours.params, theirs.params) < 1e-5


def test_a_trial_that_another_process_trains(tmp_path, caplog):
    workdir = tmp_path / "run"
    busy = workdir / "trials" / NAMES[1]
    busy.mkdir(parents=True)
    (workdir / "trials").rename(tmp_path / "trials")
    loop.train_and_evaluate(small(**SWEEP), workdir, share=Share(1, 4))
    busy.mkdir()
    assert describe_holder(busy) is None
    with lock_directory(busy), caplog.at_level(logging.INFO):
        assert f"process {os.getpid()} on " in describe_holder(busy)
        with pytest.raises(InputError, match=rf"{NAMES[1]}'\: in use by process {os.getpid()}"):
            loop.train_and_evaluate(small(**SWEEP), workdir, share=Share(2, 4))
        with pytest.raises(InputError, match="in use by"):
            loop.train_and_evaluate(small(**SWEEP), workdir)
        loop.train_and_evaluate(small(**SWEEP), workdir, share=Share(3, 4))
    assert f"{NAMES[1]}: being trained by process {os.getpid()}" in caplog.text
    assert not (workdir / "results.json").exists()


def test_a_trial_that_failed_is_named_by_the_last(tmp_path):
    config = small(sweep__learning_rate=(1e-3, 1e30), train__max_skipped_in_a_row=5)
    with pytest.raises(RunStopped, match="5 steps in a row"):
        loop.train_and_evaluate(config, tmp_path / "run", share=Share(2, 2))
    assert not (tmp_path / "run" / "results.json").exists()
    with pytest.raises(RunStopped, match=r"1 of 2 trials failed.*\n.*learning_rate=1e\+30"):
        loop.train_and_evaluate(config, tmp_path / "run", share=Share(1, 2))
    written = json.loads((tmp_path / "run" / "results.json").read_text())
    assert list(written["trials"]) == ["learning_rate=0.001"]
    assert list(written["failed"]) == ["learning_rate=1e+30"]


@pytest.mark.slow
def test_two_processes_at_once(swept, tmp_path):
    workdir = tmp_path / "run"
    shares = ("1/2", "2/2")
    assert finish(*(start(workdir, share) for share in shares)) == [0, 0], [
        log_of(workdir, share).read_text() for share in shares
    ]
    assert_joined(workdir, swept[1])


@pytest.mark.slow
def test_a_killed_process_is_resumed(swept, tmp_path):
    workdir = tmp_path / "run"
    fields = {"train__num_steps": 400, "train__eval_every": 20}
    killed = start(workdir, "2/2", **fields)
    deadline = time.monotonic() + 200
    while not list((workdir / "trials").glob("*/checkpoints/[0-9]*")):
        assert time.monotonic() < deadline
        assert killed.poll() is None, log_of(workdir, "2/2").read_text()
        time.sleep(0.05)
    killed.kill()
    assert finish(killed) != [0]
    assert finish(start(workdir, "1/2", **fields)) == [0]
    assert not (workdir / "results.json").exists()
    assert f"{NAMES[1]}: not finished" in log_of(workdir, "1/2").read_text()
    assert finish(start(workdir, "2/2", **fields)) == [0]
    joined = json.loads((workdir / "results.json").read_text())
    assert list(joined["trials"]) == NAMES
    steps = [
        line["step"]
        for line in read_metrics(workdir / "trials" / NAMES[1])
        if line["split"] == "train"
    ]
    assert steps == list(range(10, 401, 10))


def test_eval_joins(swept, tmp_path):
    copy = pathlib.Path(shutil.copytree(swept[0], tmp_path / "copy"))
    (copy / "results.json").unlink()
    evaluate.evaluate_workdir(copy)
    assert_joined(copy, swept[1])


@pytest.mark.slow
def test_trials_that_stop_early_are_finished(tmp_path):
    fields = {"optimizer__learning_rate": 1e-12, "train__patience": 1, "train__eval_every": 10}
    config = small(sweep__seed=(0, 1), **fields)
    first = loop.train_and_evaluate(config, tmp_path, share=Share(1, 2))
    assert not (tmp_path / "results.json").exists()
    second = loop.train_and_evaluate(config, tmp_path, share=Share(2, 2))
    steps = {name: trial["selection"]["last_step"] for name, trial in second["trials"].items()}
    assert list(steps) == ["seed=0", "seed=1"]
    assert min(steps.values()) < config.train.num_steps
    assert first["trials"]["seed=0"]["test"] == second["trials"]["seed=0"]["test"]
    assert (tmp_path / "results.json").exists()
