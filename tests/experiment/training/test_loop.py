"""Whole runs on the smallest real data: their files, how they resume, stop and reject input."""

import dataclasses
import errno
import importlib.util
import json
import logging
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import chex
import jax
import jax.numpy as jnp
import matplotlib.image
import numpy as np
import orbax.checkpoint as ocp
import pytest

import vae_jax
from vae_jax import visualize
from vae_jax.config import Config
from vae_jax.errors import InputError, RunStopped
from vae_jax.experiment import evaluate, results, run
from vae_jax.experiment.measurement import evaluator
from vae_jax.experiment.storage.checkpoint import Checkpoints
from vae_jax.experiment.storage.damage import RefusedError
from vae_jax.experiment.storage.description import Description
from vae_jax.experiment.storage.metric_writer import MetricsWriter, read_metrics
from vae_jax.experiment.training import loop, recorder, trainers

ROOT = pathlib.Path(__file__).parents[3]


def small(**changes):
    """Return the config of a run of seconds: digits, a narrow network, forty steps."""
    config = Config(name="small", seed=3)
    config.data.binarization = "dynamic"
    config.model.hidden, config.model.latent_dim = (16,), 2
    config.train.num_steps, config.train.batch_size = 40, 64
    config.train.log_every, config.train.eval_every = 10, 20
    for path, value in changes.items():
        *groups, name = path.split("__")
        holder = config
        for group in groups:
            holder = getattr(holder, group)
        setattr(holder, name, value)
    return config


OPTIMAL = {"model__likelihood": "optimal_gaussian", "data__binarization": "none"}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("runs") / "small"
    return workdir, loop.train_and_evaluate(small(), workdir)


@pytest.fixture
def copy(finished, tmp_path):
    return pathlib.Path(shutil.copytree(finished[0], tmp_path / "copy"))


def test_what_it_leaves_in_the_workdir(finished):
    workdir, numbers = finished
    assert json.loads((workdir / "config.json").read_text())["model"]["latent_dim"] == 2
    assert json.loads((workdir / "results.json").read_text())["test"]["elbo"] == pytest.approx(
        numbers["test"]["elbo"]
    )
    training = numbers["training"]
    assert training["num_parameters"] == 64 * 16 + 16 + 16 * 4 + 4 + 2 * 16 + 16 + 16 * 64 + 64
    assert training["learning_rate"] == pytest.approx(1e-3)
    assert 0 < training["images_per_second"] < 1e8
    assert 0 < training["seconds"] < 600
    lines = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if line["split"] == "train"] == [10, 20, 30, 40]
    assert [line["step"] for line in lines if line["split"] == "valid"] == [20, 40]
    assert {"loss", "elbo", "distortion", "rate"} <= lines[0].keys()
    valid = next(line for line in lines if line["split"] == "valid")
    assert {
        "elbo",
        "distortion",
        "rate",
        "kl/0",
        "kl/1",
        "active_units",
        "bits_per_dim",
        "mse",
        "psnr",
    } <= valid.keys()
    assert valid["binarization"] == "dynamic"
    assert "latents are active" in valid["verdict"]
    assert list((workdir / "tensorboard").glob("events*"))
    assert sorted(path.name for path in (workdir / "checkpoints").iterdir()) == ["20", "40"]
    names = {
        "reconstructions",
        "samples",
        "samples_low_temperature",
        "interpolations",
        "traversals",
        "latent_map",
        "learning_curves",
    }
    assert {path.stem for path in (workdir / "figures").glob("*.png")} == names
    for path in (workdir / "figures").glob("*.png"):
        assert matplotlib.image.imread(path).std() > 0.01, path  # not blank
    assert not list(workdir.glob(".*"))  # no temporary files stay


def test_validations_between_checkpoints_change_no_result(tmp_path, monkeypatch):
    monkeypatch.setattr(visualize, "plot_all", lambda *args, **kwargs: [])
    ends, default = {}, type(small().train).eval_every
    for every in (10, default):  # by default ten, and none but the last if it is made as long
        config = small(train__num_steps=100, train__eval_every=default)
        if every == default:
            monkeypatch.setattr(type(config.train), "validate_every", default)
        numbers = loop.train_and_evaluate(config, tmp_path / str(every))
        steps = [line["step"] for line in read_metrics(tmp_path / str(every)) if "mse" in line]
        assert steps == list(range(every, 101, every)) or steps == [100]
        assert [p.name for p in (tmp_path / str(every) / "checkpoints").iterdir()] == ["100"]
        ends[every] = numbers["test"], numbers["valid"], numbers["selection"]
    assert ends[10] == ends[default]


def test_results_say_how_they_were_made(finished):
    _, numbers = finished
    assert numbers["data"]["binarization"] == "dynamic"
    assert numbers["data"]["num_test"] == 359
    assert len(numbers["data"]["test_sha256"]) == 64
    test = numbers["test"]
    assert test["elbo"] == pytest.approx(-(test["distortion"] + test["rate"]))
    assert test["rate"] == pytest.approx(test["kl/0"] + test["kl/1"], rel=1e-4)
    assert test["bits_per_dim"] == pytest.approx(-test["elbo"] / 64 / np.log(2))
    assert 0 < test["elbo_stderr"] < 5
    assert test["psnr"] > 0


def test_evaluation_is_the_mean_over_every_example_whatever_the_batch(finished):
    workdir, numbers = finished
    config = small(evaluation__batch_size=359)
    again = run.make_run(config, workdir)
    terms = evaluator.make_run_evaluator(again)(
        vae_jax.load(workdir, step=numbers["step"]).params, "test"
    )
    assert terms.mse.shape == (359,)
    assert terms.mse.mean() == pytest.approx(numbers["test"]["mse"], rel=1e-5)  # no noise in it
    assert terms.rate.mean() == pytest.approx(numbers["test"]["rate"], rel=1e-5)


def test_the_same_command_again_changes_no_parameter(copy):
    before = vae_jax.load(copy).params
    loop.train_and_evaluate(small(), copy)
    chex.assert_trees_all_equal(before, vae_jax.load(copy).params)


def test_interrupted_between_checkpoints_it_ends_in_the_same_bits(finished, tmp_path, monkeypatch):
    real, count = recorder.Recorder.report, []

    def dies(*args):
        count.append(1)
        if len(count) == 3:
            raise KeyboardInterrupt
        return real(*args)

    monkeypatch.setattr(recorder.Recorder, "report", dies)
    with pytest.raises(KeyboardInterrupt):
        loop.train_and_evaluate(small(), tmp_path / "run")
    monkeypatch.undo()
    loop.train_and_evaluate(small(), tmp_path / "run")
    for step in (20, 40):
        chex.assert_trees_all_equal(
            vae_jax.load(finished[0], step=step).params,
            vae_jax.load(tmp_path / "run", step=step).params,
        )
    lines = read_metrics(tmp_path / "run")
    assert [line["step"] for line in lines] == sorted(line["step"] for line in lines)
    assert len(lines) == 6  # nothing twice


def test_eval_mode_repeats_the_numbers(copy):
    recorded = json.loads((copy / "results.json").read_text())
    (copy / "results.json").unlink()
    shutil.rmtree(copy / "figures")
    numbers = evaluate.evaluate_workdir(copy)
    assert numbers["test"] == recorded["test"]
    assert (copy / "figures" / "samples.png").exists()
    more = small(evaluation__num_samples=20)
    many = evaluate.evaluate_workdir(copy, more)["test"]["elbo"]
    assert many == pytest.approx(recorded["test"]["elbo"], abs=0.5)
    assert many != recorded["test"]["elbo"]


def test_a_workdir_of_another_config_is_refused_with_the_fields(copy):
    with pytest.raises(
        InputError, match=r"config\.objective\.beta: 4\.0 here, 1\.0 there"
    ) as error:
        loop.train_and_evaluate(small(objective__beta=4.0, seed=7), copy)
    assert "config.seed: 7 here, 3 there" in str(error.value)
    with pytest.raises(InputError, match=r"config\.seed"):
        evaluate.evaluate_workdir(copy, small(seed=7))


@pytest.mark.parametrize("damage", ["truncate", "delete"])
def test_a_damaged_newest_checkpoint_falls_back_with_a_warning(copy, finished, caplog, damage):
    for path in (copy / "checkpoints" / "40" / "state").rglob("*"):
        if path.is_file() and (damage == "truncate" or path.parent.name == "d"):
            path.write_bytes(path.read_bytes()[:7]) if damage == "truncate" else path.unlink()
    with caplog.at_level(logging.WARNING):
        loop.train_and_evaluate(small(), copy)
    assert "checkpoint 40" in caplog.text
    assert "damaged" in caplog.text
    chex.assert_trees_all_equal(
        vae_jax.load(copy, step=40).params, vae_jax.load(finished[0], step=40).params
    )


@pytest.mark.parametrize("kind", [jax.errors.JaxRuntimeError, MemoryError])
def test_an_error_of_a_device_is_not_damage(copy, monkeypatch, kind):
    restore = ocp.CheckpointManager.restore

    def fail(self, step, args):
        if "state" in args:
            raise kind("RESOURCE_EXHAUSTED: out of memory")
        return restore(self, step, args=args)

    monkeypatch.setattr(ocp.CheckpointManager, "restore", fail)
    with pytest.raises(kind, match="RESOURCE"):
        loop.train_and_evaluate(small(), copy)
    assert (copy / "checkpoints" / "40").exists()
    assert not list((copy / "checkpoints").glob("damaged*"))


@pytest.mark.parametrize("item", ["state", "description"])
@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.EMFILE, os.strerror(errno.EMFILE)),
        ValueError(f"NOT_FOUND: Error opening: [OS error: {os.strerror(errno.ESTALE)}]"),
    ],
)
def test_what_the_system_refuses_to_read_is_not_damaged(copy, monkeypatch, error, item):
    restore = ocp.CheckpointManager.restore

    def refuse(self, step, args):
        if item in args:
            raise error
        return restore(self, step, args=args)

    monkeypatch.setattr(ocp.CheckpointManager, "restore", refuse)
    message = r"^checkpoint \d+ in .* could not be read \(.*\); it is left as it is; once it can be"
    with pytest.raises(InputError, match=message):
        loop.train_and_evaluate(small(), copy)
    assert (copy / "checkpoints" / "40").exists()
    assert not list((copy / "checkpoints").glob("damaged*"))


def test_a_folder_that_may_not_be_opened_is_not_damaged(copy, monkeypatch):
    """Orbax says that such a folder is not there."""
    folder = copy / "checkpoints" / "40" / "description"
    listdir = os.listdir

    def refuse(path="."):
        if pathlib.Path(path) == folder:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))
        return listdir(path)

    shutil.move(folder, copy / "elsewhere")
    monkeypatch.setattr(os, "listdir", refuse)
    with pytest.raises(InputError, match=r"checkpoint 40 in .*Permission denied.*left as it is"):
        loop.train_and_evaluate(small(), copy)
    assert (copy / "checkpoints" / "40").exists()


def test_one_checkpoint_that_cannot_be_read_does_not_hide_another(copy, monkeypatch, caplog):
    describe = Checkpoints.describe

    def refuse(self, step):
        if step == 20:
            raise RefusedError("checkpoint 20 could not be read")
        return describe(self, step)

    monkeypatch.setattr(Checkpoints, "describe", refuse)
    with caplog.at_level(logging.WARNING):
        assert vae_jax.load(copy).step == 40
    assert "checkpoint 20 could not be read" in caplog.text
    with Checkpoints(copy) as checkpoints, pytest.raises(RefusedError):
        checkpoints.prune()


def test_when_no_checkpoint_can_be_read_it_says_so_and_touches_nothing(copy):
    for path in (copy / "checkpoints").rglob("*"):
        if path.is_file() and "state" in path.parts:
            path.write_bytes(b"")
    before = sorted(path for path in copy.rglob("*"))
    for _ in range(2):  # the second time is no different from the first
        with pytest.raises(InputError, match="no checkpoint"):
            loop.train_and_evaluate(small(), copy)
    assert sorted(path for path in copy.rglob("*")) == before


@pytest.mark.parametrize("item", ["description", "_CHECKPOINT_METADATA"])
def test_damage_beside_the_state_is_found_too(copy, finished, item, caplog):
    target = copy / "checkpoints" / "40" / item
    for path in [target] if target.is_file() else [p for p in target.rglob("*") if p.is_file()]:
        path.write_bytes(b"{")
    with caplog.at_level(logging.WARNING):
        loop.train_and_evaluate(small(), copy)
    chex.assert_trees_all_equal(
        vae_jax.load(copy, step=40).params, vae_jax.load(finished[0], step=40).params
    )
    if item == "description":
        assert "damaged" in caplog.text
        assert (copy / "checkpoints" / "damaged-40").exists()


def test_a_step_damaged_twice_is_mended_twice(copy):
    for _ in range(2):
        for path in (copy / "checkpoints" / "40" / "state").rglob("*"):
            if path.is_file():
                path.write_bytes(b"")
        loop.train_and_evaluate(small(), copy)
    assert {path.name for path in (copy / "checkpoints").glob("damaged*")} == {
        "damaged-40",
        "damaged-40.1",
    }


def test_files_of_a_run_without_its_config_are_refused_and_kept(copy, tmp_path):
    (copy / "config.json").unlink()
    with pytest.raises(
        InputError, match=r"checkpoints, figures, metrics\.jsonl.* but no config.json"
    ):
        loop.train_and_evaluate(small(), copy)
    other = tmp_path / "other"
    other.mkdir()
    (other / "metrics.jsonl").write_text("mine")
    with pytest.raises(InputError, match=r"holds metrics\.jsonl but no config\.json"):
        loop.train_and_evaluate(small(), other)
    assert (other / "metrics.jsonl").read_text() == "mine"


def test_a_checkpoint_of_another_config_is_never_resumed(copy):
    config = run.make_run(small(objective__beta=7.0), copy).config
    (copy / "config.json").write_text(json.dumps(dataclasses.asdict(config)))
    with pytest.raises(InputError, match=r"config\.objective\.beta: 7\.0 here, 1\.0 there"):
        loop.train_and_evaluate(small(objective__beta=7.0), copy)


@pytest.mark.parametrize(
    "content", ["{", "[]", '{"model": null}', '{"data": 5}', '{"sed": 1}', "\xff"]
)
def test_a_config_that_cannot_be_read_is_one_message(copy, content):
    (copy / "config.json").write_bytes(content.encode("latin-1"))
    with pytest.raises(InputError, match=r"workdir = .*config\.json cannot be read"):
        loop.train_and_evaluate(small(), copy)


def test_an_evaluation_that_is_not_finite_says_so(tmp_path):
    config = small(optimizer__learning_rate=1e25, train__max_skipped_in_a_row=1000)
    with pytest.raises(RunStopped, match="not finite, so the run diverged"):
        loop.train_and_evaluate(config, tmp_path / "run")
    assert (
        json.loads((tmp_path / "run" / "results.json").read_text())["metrics"]["collapse"][
            "verdict"
        ]
        == "diverged"
    )


def test_a_batch_that_the_devices_cannot_share_is_refused_for_training_only(copy, monkeypatch):
    monkeypatch.setattr(jax, "device_count", lambda: 3)
    with pytest.raises(
        InputError, match=r"config\.train\.batch_size = 64: must be a multiple of the 3 devices"
    ):
        loop.train_and_evaluate(small(), copy)
    evaluate.evaluate_workdir(copy)


def test_a_run_with_optimal_sigma_is_scored_with_one_sigma(tmp_path):
    config = small(**OPTIMAL)
    numbers = loop.train_and_evaluate(config, tmp_path / "run")
    assert "one sigma for all, fitted to the training set" in numbers["estimator"]
    assert np.isfinite(numbers["test"]["elbo"])


@pytest.mark.slow
def test_one_test_image_is_enough(tmp_path):
    rng = np.random.default_rng(0)
    images = {
        f"{split}_images": rng.random((n, 6, 5))
        for split, n in (("train", 40), ("valid", 3), ("test", 1))
    }
    np.savez(tmp_path / "mine.npz", **images)
    config = small(data__name="npz", data__path=str(tmp_path / "mine.npz"), train__batch_size=16)
    numbers = loop.train_and_evaluate(config, tmp_path / "run")
    assert numbers["data"]["num_test"] == 1
    assert not (tmp_path / "run" / "figures" / "interpolations.png").exists()


def test_checkpoints_hold_no_pickle(finished):
    for path in (finished[0] / "checkpoints").rglob("*"):
        assert path.suffix not in {".pkl", ".pickle"}
        assert not path.is_file() or not path.read_bytes().startswith(b"\x80\x04")


def test_the_newest_few_and_the_best_are_kept(tmp_path):
    current = run.make_run(small(), tmp_path)
    state = trainers.SingleRunTrainer(current).initial()
    with Checkpoints(tmp_path, keep=2) as checkpoints:
        for step, score in [(1, -9.0), (2, -1.0), (3, -5.0), (4, -4.0), (5, -3.0)]:
            checkpoints.save(
                state.replace(step=jnp.asarray(step)), Description(small(), (8, 8, 1), score)
            )
            checkpoints.prune()
        assert checkpoints.steps() == [2, 4, 5]
        assert checkpoints.best_step() == 2
    assert vae_jax.load(tmp_path).step == 2
    with pytest.raises(InputError, match=r"step = 3: no such checkpoint .* \[2, 4, 5\]"):
        vae_jax.load(tmp_path, step=3)


def test_too_many_steps_that_are_not_finite_stop_the_run(tmp_path):
    # A learning rate at which the parameters overflow at once.
    config = small(
        optimizer__learning_rate=1e30, train__max_skipped_in_a_row=5, data__binarization="none"
    )
    with pytest.raises(RunStopped, match=r"5 steps in a row .* not finite") as error:
        loop.train_and_evaluate(config, tmp_path / "run")
    assert "config.json" in str(error.value)
    assert "there is no checkpoint yet" in str(error.value)


def test_a_checkpoint_that_cannot_be_written_leaves_the_last_good_one(tmp_path, monkeypatch):
    real = Checkpoints.save

    def full(self, state, *args):
        if int(state.step) == 40:
            raise OSError(28, "No space left on device")
        return real(self, state, *args)

    monkeypatch.setattr(Checkpoints, "save", full)
    with pytest.raises(
        RunStopped,
        match=r"checkpoint 40 could not be written.*no space left on the device.*"
        r"last good checkpoint is step 20",
    ):
        loop.train_and_evaluate(small(), tmp_path / "run")
    assert vae_jax.load(tmp_path / "run").step == 20


def test_average_of_parameters_is_what_is_evaluated(tmp_path):
    config = small(optimizer__ema_decay=0.9, train__num_steps=20)
    loop.train_and_evaluate(config, tmp_path)
    current = run.make_run(config, tmp_path)
    with Checkpoints(tmp_path, for_writing=False) as checkpoints:
        state = checkpoints.restore(20, trainers.SingleRunTrainer(current).initial())
    chex.assert_trees_all_equal(vae_jax.load(tmp_path).params, state.ema_params)
    assert any(
        jax.tree.leaves(jax.tree.map(lambda a, b: np.any(a != b), state.params, state.ema_params))
    )


def test_load_gives_a_model_back(finished):
    workdir, _ = finished
    model = vae_jax.load(workdir)
    x = vae_jax.data.load("digits").test.take(jnp.arange(6), jax.random.key(0))["x"]
    q = model.encode(x)
    assert q.mean.shape == (6, 2)
    assert model.decode(q.mean).mean.shape == (6, 8, 8, 1)
    np.testing.assert_allclose(model.reconstruct(x), model.decode(q.mean).mean, rtol=1e-6)
    samples = model.sample(jax.random.key(1), 5)
    assert samples.shape == (5, 8, 8, 1)
    np.testing.assert_array_equal(samples, model.sample(jax.random.key(1), 5))
    path = model.interpolate(x[:2], x[2:4], 7, kind="spherical")
    assert path.shape == (7, 2, 8, 8, 1)
    np.testing.assert_allclose(path[0], model.reconstruct(x[:2]), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(path[-1], model.reconstruct(x[2:4]), rtol=1e-4, atol=1e-6)
    with pytest.raises(InputError, match="no checkpoints there"):
        vae_jax.load(workdir / "nowhere")


def test_metrics_cut_short_by_a_kill_are_mended(tmp_path):
    writer = MetricsWriter(tmp_path)
    for step in (10, 20, 30):
        writer.write(step, "train", {"loss": float("nan") if step == 20 else 1.0})
    writer.close()
    with open(tmp_path / "metrics.jsonl", "a") as file:
        file.write('nonsense\n{"step": 40, "spl')
    writer = MetricsWriter(tmp_path, start_step=20)
    writer.write(30, "train", {"loss": 2.0})
    writer.close()
    assert read_metrics(tmp_path) == [
        {"step": 10, "split": "train", "loss": 1.0},
        {"step": 20, "split": "train", "loss": None},
        {"step": 30, "split": "train", "loss": 2.0},
    ]


def config_of(path, *args):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.get_config(*args)


@pytest.mark.parametrize(
    "name",
    [
        "denoising_ae",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("ae", "linear_vae")),
    ],
)
def test_configs_run_on_their_embedded_data(name, tmp_path):
    config = config_of(ROOT / "configs" / f"{name}.py")
    config.train.num_steps = config.train.eval_every = config.train.log_every = 5
    numbers = loop.train_and_evaluate(config, tmp_path)
    assert np.isfinite(numbers["test"]["distortion"])
    if "ae" in name.split("_"):
        assert numbers["test"]["rate"] == np.inf
        assert "no ELBO" in results.describe(numbers)
        assert json.loads((tmp_path / "results.json").read_text())["test"]["elbo"] is None
    assert ("denoising_mse" in numbers["test"]) == (name == "denoising_ae")


@pytest.mark.slow
def test_killed_at_any_moment_it_ends_in_the_same_bits(tmp_path):
    # Real processes and real SIGKILLs: one while training, one around a checkpoint.
    flags = ["--config=configs/vae.py", "--config.model.hidden=32", "--config.train.num_steps=1200"]
    flags += ["--config.train.eval_every=200", "--config.train.log_every=50"]

    def start(workdir):
        command = [sys.executable, "-m", "vae_jax.main", *flags, f"--workdir={workdir}"]
        env = os.environ | {"JAX_PLATFORMS": "cpu"}
        return subprocess.Popen(
            command, cwd=ROOT, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )

    def kill_when(workdir, reached):
        process = start(workdir)
        deadline = time.monotonic() + 120
        while not reached() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        return process.returncode

    victim = tmp_path / "killed"
    killed = [
        kill_when(victim, lambda: any(line["step"] >= 250 for line in read_metrics(victim))),
        kill_when(victim, lambda: any((victim / "checkpoints").glob("800*"))),
    ]
    assert killed == [-signal.SIGKILL] * 2
    processes = start(victim), start(tmp_path / "whole")
    for process in processes:
        _, stderr = process.communicate(timeout=200)
        assert process.returncode == 0, stderr.decode()[-2000:]
    a, b = vae_jax.load(victim, step=1200), vae_jax.load(tmp_path / "whole", step=1200)
    chex.assert_trees_all_equal(a.params, b.params)
    assert dataclasses.asdict(a.config) == dataclasses.asdict(b.config)
    ours, theirs = (read_metrics(tmp_path / name) for name in ("killed", "whole"))
    assert ours == theirs
