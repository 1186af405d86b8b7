"""Faults around a run: signals, a second process, full or read-only disks, non-finite steps."""

import contextlib
import errno
import fcntl
import json
import os
import pathlib
import re
import resource
import signal
import socket
import subprocess
import sys
import threading
import time

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_loop import config_of, small

import vae_jax
from vae_jax import visualize
from vae_jax.errors import InputError, Interrupted, RunStopped
from vae_jax.experiment import builders, run
from vae_jax.experiment.storage.lock import lock_directory
from vae_jax.experiment.storage.metric_writer import MetricsWriter, read_metrics
from vae_jax.experiment.training import loop, recorder, trainers
from vae_jax.experiment.training.interruption import Interruption

ROOT = pathlib.Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def no_figures(monkeypatch):
    monkeypatch.setattr(visualize, "plot_all", lambda *args, **kwargs: [])


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Return the workdir of an undisturbed run."""
    workdir = tmp_path_factory.mktemp("runs") / "whole"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(visualize, "plot_all", lambda *args, **kwargs: [])
        loop.train_and_evaluate(small(), workdir)
    return workdir


def assert_same_run(workdir, other, step=40):
    chex.assert_trees_all_equal(
        vae_jax.load(workdir, step=step).params, vae_jax.load(other, step=step).params
    )
    assert (workdir / "metrics.jsonl").read_text() == (other / "metrics.jsonl").read_text()
    ours, theirs = (
        json.loads((path / "results.json").read_text()) | {"seconds": None, "training": None}
        for path in (workdir, other)
    )
    assert ours == theirs
    assert {p.name for p in (workdir / "checkpoints").iterdir()} == {
        p.name for p in (other / "checkpoints").iterdir()
    }


def signal_at(monkeypatch, number, count):
    """Send this process a signal while it writes the metrics of call `count`."""
    real, calls = recorder.Recorder.report, []

    def report(*args):
        calls.append(1)
        if len(calls) == count:
            os.kill(os.getpid(), number)
        return real(*args)

    monkeypatch.setattr(recorder.Recorder, "report", report)


def test_a_signal_between_checkpoints_is_saved_and_changes_nothing(
    whole, tmp_path, monkeypatch, capfd
):
    handlers = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    config = small(train__log_every=5)
    with monkeypatch.context() as patch:
        signal_at(patch, signal.SIGTERM, 2)  # which comes when the third call is under way
        with pytest.raises(Interrupted, match="stopped by SIGTERM: step 15 is saved") as stop:
            loop.train_and_evaluate(config, tmp_path / "run")
    assert stop.value.status == 143
    assert "SIGTERM: stops at the next safe point" in capfd.readouterr().err
    assert [path.name for path in (tmp_path / "run" / "checkpoints").iterdir()] == ["15"]
    assert vae_jax.load(tmp_path / "run").step == 15  # there is no other yet
    with monkeypatch.context() as patch:
        signal_at(patch, signal.SIGINT, 3)
        with pytest.raises(KeyboardInterrupt, match="stopped by SIGINT: step 35 is saved"):
            loop.train_and_evaluate(config, tmp_path / "run")
    assert {path.name for path in (tmp_path / "run" / "checkpoints").iterdir()} == {"20", "35"}
    assert vae_jax.load(tmp_path / "run").step == 20  # not the newer one, which has no score
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == handlers
    loop.train_and_evaluate(config, tmp_path / "run")
    loop.train_and_evaluate(config, tmp_path / "never")
    assert_same_run(tmp_path / "run", tmp_path / "never")
    chex.assert_trees_all_equal(
        vae_jax.load(tmp_path / "run", step=40).params, vae_jax.load(whole, step=40).params
    )


@pytest.mark.slow
def test_a_signal_stops_a_sweep_with_every_trial_saved(tmp_path, monkeypatch):
    config = small(sweep__beta=(1.0, 0.5), train__eval_every=40)
    signal_at(monkeypatch, signal.SIGTERM, 3)  # for the first trial, after the second of four calls
    with pytest.raises(Interrupted, match="step 30 is saved"):
        loop.train_and_evaluate(config, tmp_path / "run")
    steps = [
        {path.name for path in trial.iterdir()}
        for trial in (tmp_path / "run" / "trials").glob("*/checkpoints")
    ]
    assert steps == [{"30"}] * 2


def test_a_signal_that_is_ignored_stays_ignored_and_other_threads_note_none():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with Interruption():
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
            assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
    finally:
        signal.signal(signal.SIGINT, before)

    def enter():
        with Interruption() as interruption:
            entered.append(interruption.requested)

    entered = []
    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert entered == [False]
    with Interruption() as interruption, contextlib.suppress(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
        assert interruption.requested
        assert signal.getsignal(signal.SIGINT) is before  # a second one isn't noted
        signal.raise_signal(signal.SIGINT)
        pytest.fail("the second SIGINT did nothing")


def poison(monkeypatch, steps):
    """Make the gradient of these steps (from 0) NaN, at a finite loss."""
    real = builders.build_loss

    def build_loss(config, model, num_examples):
        loss_fn = real(config, model, num_examples)

        def poisoned(params, batch, key, step):
            loss, metrics = loss_fn(params, batch, key, step)
            bad = jnp.isin(step, jnp.asarray(steps))
            zero_or_one = jnp.where(bad, 0.0 * jax.tree.leaves(params)[0].sum(), 1.0)
            # The root of 0 has an infinite slope, and inf * 0 is NaN.
            return loss + jnp.sqrt(zero_or_one) - ~bad, metrics

        return poisoned

    monkeypatch.setattr(builders, "build_loss", build_loss)


def test_a_gradient_that_is_not_finite_moves_nothing(tmp_path, monkeypatch):
    poison(monkeypatch, [1, 3, 4])
    one = trainers.SingleRunTrainer(run.make_run(small(optimizer__ema_decay=0.9), tmp_path))
    state, moved, counts = one.initial(), [], []
    for _ in range(6):
        before = jax.device_get((state.params, state.opt_state, state.ema_params))
        state, metrics = one.epoch(1)(state, one.source)
        assert np.isfinite(metrics["loss"]).all()
        after = jax.device_get((state.params, state.opt_state, state.ema_params))
        moved.append(any(jax.tree.leaves(jax.tree.map(lambda a, b: np.any(a != b), before, after))))
        counts.append((int(metrics["skipped"][0]), int(metrics["skipped_in_a_row"][0])))
    assert moved == [True, False, True, False, False, True]
    assert counts == [(0, 0), (1, 1), (1, 0), (2, 1), (3, 2), (3, 0)]
    assert int(state.step) == 6


def test_learning_goes_on_after_bad_steps_until_there_are_too_many_in_a_row(tmp_path, monkeypatch):
    poison(monkeypatch, [4, 5, *range(36, 39)])
    config = small(train__max_skipped_in_a_row=3, optimizer__learning_rate=1e-2)
    with pytest.raises(
        RunStopped, match=r"step 39: 3 steps in a row .*the last good checkpoint is step 20"
    ):
        loop.train_and_evaluate(config, tmp_path / "run")
    lines = [line for line in read_metrics(tmp_path / "run") if line["split"] == "train"]
    assert [line["skipped"] for line in lines] == [2, 2, 2, 5]
    losses = [line["loss"] for line in lines]
    assert losses == sorted(losses, reverse=True)
    assert losses[0] > losses[2] + 1


def test_a_file_where_the_checkpoints_should_be(tmp_path):
    with loop.claim_workdir(tmp_path, run.make_run(small(), tmp_path).config):
        (tmp_path / "checkpoints").write_text("mine")
    with pytest.raises(
        InputError, match=r"workdir = .*checkpoints cannot be written \(File exists"
    ):
        loop.train_and_evaluate(small(), tmp_path)
    assert (tmp_path / "checkpoints").read_text() == "mine"


def test_a_folder_for_the_checkpoints_that_cannot_be_made(tmp_path, monkeypatch):
    real = os.mkdir

    def mkdir(path, *args, **kwargs):
        if pathlib.Path(path).name == "checkpoints":
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return real(path, *args, **kwargs)

    monkeypatch.setattr(os, "mkdir", mkdir)
    with pytest.raises(
        InputError, match=r"workdir = .*checkpoints cannot be written \(.*Permission denied"
    ):
        loop.train_and_evaluate(small(), tmp_path)
    assert not (tmp_path / "lock").exists()


def before_the_second_save(monkeypatch, action):
    real, saves = recorder.Recorder.save, []

    def save(*args):
        saves.append(1)
        if len(saves) == 2:
            action()
        return real(*args)

    monkeypatch.setattr(recorder.Recorder, "save", save)


def fill(folder):
    with contextlib.suppress(OSError), open(folder / "ballast", "wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


def test_a_full_disk(disk, whole, monkeypatch):
    match = (
        r"checkpoint 40 could not be written: no space left on the device; "
        r"the last good checkpoint is step 20 in .*run"
    )
    with monkeypatch.context() as patch:
        before_the_second_save(patch, lambda: fill(disk))
        with pytest.raises(RunStopped, match=match):
            loop.train_and_evaluate(small(), disk / "run")
    (disk / "ballast").unlink()
    loop.train_and_evaluate(small(), disk / "run")
    assert_same_run(disk / "run", whole)


def test_metrics_on_a_full_disk_are_an_error_and_not_a_wait(disk):
    writer = MetricsWriter(disk)
    fill(disk)
    os.truncate(disk / "ballast", (disk / "ballast").stat().st_size - 8192)
    named = r"No space left.*: '.*/(metrics\.jsonl|events\.out\.tfevents\.\S+)'"
    with pytest.raises(OSError, match=named):
        [writer.write(step, "train", {"loss": 1.0}) for step in range(1000)]
    writer.close()
    lines = [line["step"] for line in read_metrics(disk)]
    assert lines == list(range(len(lines)))
    assert len(lines) > 10


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # TensorStore
def test_a_checkpoint_larger_than_files_may_be(whole, tmp_path, monkeypatch):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with monkeypatch.context() as patch:
        before_the_second_save(
            patch, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (8192, hard))
        )
        try:
            with pytest.raises(
                RunStopped,
                match=r"checkpoint 40 could not be written: .*last good checkpoint is step 20",
            ):
                loop.train_and_evaluate(small(), tmp_path / "run")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    loop.train_and_evaluate(small(), tmp_path / "run")
    assert_same_run(tmp_path / "run", whole)


@pytest.mark.slow
def test_a_checkpoint_that_fails_is_one_line_on_the_screen(tmp_path):
    flags = [
        "--config=configs/vae.py",
        "--config.train.num_steps=20",
        "--config.train.eval_every=10",
        f"--workdir={tmp_path}",
    ]
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))"
    code = f"{limit}; from vae_jax.main import main; main()"
    # The files of the compilation cache would be too large as well.
    env = os.environ | {"JAX_ENABLE_COMPILATION_CACHE": "false"}
    process = subprocess.run(
        [sys.executable, "-c", code, *flags],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 1
    assert "Traceback" not in process.stderr
    last = process.stderr.splitlines()[-1]
    assert re.fullmatch(
        r"error: checkpoint 10 could not be written: .*; there is no checkpoint yet", last
    )


@pytest.mark.slow
def test_data_that_disappear_while_the_run_trains(tmp_path, monkeypatch):
    data, digits = tmp_path / "mine.npz", vae_jax.data.load("digits")
    np.savez(
        data,
        **{
            f"{split}_images": getattr(digits, split).images for split in ("train", "valid", "test")
        },
    )
    config = small(data__name="npz", data__path=str(data))
    with monkeypatch.context() as patch:
        before_the_second_save(patch, data.unlink)
        loop.train_and_evaluate(config, tmp_path / "run")  # they are in memory
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("*")}
    with pytest.raises(InputError, match=r"config\.data\.path = '.*mine\.npz'.*no such file"):
        loop.train_and_evaluate(config, tmp_path / "run")
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("*")} == before


def test_a_second_process_is_refused_and_sigterm_ends_the_first(tmp_path, request):
    """A real process gets a real signal."""
    config, workdir = config_of(ROOT / "configs" / "vae.py"), tmp_path / "run"
    config.model.hidden, config.train.num_steps, config.train.log_every, config.train.eval_every = (
        (16,),
        600,
        10,
        200,
    )
    flags = ["--config=configs/vae.py", "--config.model.hidden=16,", "--config.train.num_steps=600"]
    flags += [
        "--config.train.log_every=10",
        "--config.train.eval_every=200",
        f"--workdir={workdir}",
    ]
    command = [sys.executable, "-m", "vae_jax.main", *flags]
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    request.addfinalizer(process.kill)
    deadline = time.monotonic() + 300
    while process.poll() is None and not read_metrics(workdir):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGSTOP)  # so that only the second run could change a file
    time.sleep(0.1)
    before = {path: path.stat().st_mtime_ns for path in workdir.rglob("*")}
    with pytest.raises(
        InputError,
        match=rf"in use by process {process.pid} on {socket.gethostname()} since 20\d\d-",
    ):
        loop.train_and_evaluate(config, workdir)
    assert {path: path.stat().st_mtime_ns for path in workdir.rglob("*")} == before
    process.send_signal(signal.SIGCONT)
    process.send_signal(signal.SIGTERM)
    stdout, stderr = process.communicate(timeout=100)
    assert (process.returncode, stdout) == (143, "")
    assert "Traceback" not in stderr
    message = re.search(
        r"^stopped by SIGTERM: step (\d+) is saved; run the same command to resume$",
        stderr,
        re.MULTILINE,
    )
    assert int(message[1]) % 10 == 0
    assert 0 < int(message[1]) < 600
    assert max(int(path.name) for path in (workdir / "checkpoints").iterdir()) == int(message[1])
    assert not (workdir / "lock").exists()
    loop.train_and_evaluate(config, workdir)
    loop.train_and_evaluate(config, tmp_path / "whole")
    assert_same_run(workdir, tmp_path / "whole", 600)


def test_a_lock_that_a_killed_process_left_is_taken_over(tmp_path):
    (tmp_path / "lock").write_text('{"pid": 1, "host": "here", "since": "then"}')
    with lock_directory(tmp_path):
        assert json.loads((tmp_path / "lock").read_text())["pid"] == os.getpid()
        with (
            pytest.raises(InputError, match=f"in use by process {os.getpid()} on"),
            lock_directory(tmp_path),
        ):
            pass
    assert not (tmp_path / "lock").exists()


@pytest.mark.parametrize("code", [errno.EOPNOTSUPP, errno.ENOLCK, errno.ENOSYS])
def test_a_file_system_without_locks_is_only_a_warning(tmp_path, monkeypatch, caplog, code):
    def flock(*_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", flock)
    with lock_directory(tmp_path), lock_directory(tmp_path):
        assert json.loads((tmp_path / "lock").read_text())["pid"] == os.getpid()
    message = f"cannot be locked ({os.strerror(code)}): a concurrent run would go undetected"
    assert caplog.text.count(message) == 2
    assert not (tmp_path / "lock").exists()


HOLDER = """
import os, pathlib, sys, time
from vae_jax.experiment.storage.lock import lock_directory
with lock_directory(pathlib.Path(sys.argv[1])):
    if os.fork():
        print("locked", flush=True)
    time.sleep(60)
"""


def test_a_lock_ends_with_its_process_even_if_that_is_killed_and_a_child_lives(tmp_path):
    command = [sys.executable, "-c", HOLDER, tmp_path]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "locked\n"
        with (
            pytest.raises(
                InputError, match=f"in use by process {process.pid} on .* since .*; wait"
            ),
            lock_directory(tmp_path),
        ):
            pass
        process.kill()
        process.wait()
        assert (tmp_path / "lock").exists()
        with lock_directory(tmp_path):
            assert json.loads((tmp_path / "lock").read_text())["pid"] == os.getpid()
    finally:
        process.kill()
        process.stdout.close()
