"""Twenty SIGKILLs at random moments, after which a run ends in the same bits.

Five minutes of `python -m pytest -m slow -s tests/experiment/training/test_soak.py`. It prints the
seed of the moments; VAE_JAX_SOAK_SEED repeats one.
"""

import contextlib
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import time

import chex
import jax
import numpy as np
import pytest

import vae_jax
from vae_jax.experiment.storage.metric_writer import read_metrics

pytestmark = pytest.mark.slow

ROOT = pathlib.Path(__file__).parents[3]
STEPS, EVERY = 6_000, 100
FLAGS = [
    "--config=configs/vae.py",
    "--config.model.hidden=64,",
    "--config.train.batch_size=64",
    "--config.train.log_every=20",
]
# At a kink of relu, a difference in the last bit soon becomes one in the second digit.
FLAGS += ["--config.model.activation=tanh"]
FLAGS += [f"--config.train.num_steps={STEPS}", f"--config.train.eval_every={EVERY}"]
STARTUP = 8.0  # seconds
START = {"step": 0, "split": "train"}


def start(workdir, devices=1):
    env = os.environ | {
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}",
    }
    command = [sys.executable, "-m", "vae_jax.main", *FLAGS, f"--workdir={workdir}"]
    return subprocess.Popen(
        command, cwd=ROOT, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )


def finish(process):
    _, stderr = process.communicate(timeout=600)
    assert process.returncode == 0, stderr[-2000:]


def last_line(workdir):
    """Return the last line of the metrics, read from the end, a thousand times a second."""
    with contextlib.suppress(OSError), open(workdir / "metrics.jsonl", "rb") as file:
        file.seek(max(0, os.stat(file.fileno()).st_size - 8192))
        whole = file.read().split(b"\n")[:-1]
        return json.loads(whole[-1]) if whole else START
    return START


def numbers(line):
    return {name: value for name, value in line.items() if not isinstance(value, str)}


def in_write(workdir):
    """True while a checkpoint is written: after its validation, with a temporary folder."""
    line = last_line(workdir)
    return line["split"] == "valid" and any(
        (workdir / "checkpoints").glob(f"{line['step']}.orbax-checkpoint-tmp*")
    )


def kill(process, workdir, kind, target, rng):
    """Kill the process at its moment; returns True if it was writing a checkpoint."""
    started, before = time.monotonic(), last_line(workdir)
    startup = rng.uniform(0, STARTUP)
    far = max(target, before["step"] + EVERY)  # a fast start must not use up the steps
    while process.poll() is None:
        step = last_line(workdir)["step"]
        if kind == "start-up" and (time.monotonic() > started + startup or step >= far):
            break
        if kind == "steps" and step >= target:
            break
        if kind == "write" and step >= target and in_write(workdir):
            break
        time.sleep(0.0005)
    time.sleep({"start-up": 0, "steps": rng.uniform(0, 0.2), "write": rng.uniform(0, 0.02)}[kind])
    process.send_signal(signal.SIGKILL)
    _, stderr = process.communicate()
    assert process.returncode == -signal.SIGKILL, f"it ended before the kill: {stderr[-2000:]}"
    return in_write(workdir) and last_line(workdir) != before


def soak(workdir, kills, device_counts):
    """Kill a run `kills` times, each time with the next number of devices, then let it finish."""
    seed = int(os.environ.get("VAE_JAX_SOAK_SEED", time.time_ns() % 1_000_000))
    print(f"\nseed {seed}")
    rng, began, writes = random.Random(seed), time.monotonic(), 0
    for number in range(kills):
        devices = device_counts[number % len(device_counts)]
        kind = rng.choice(["start-up", "steps", "write", "write"])
        target = int(STEPS * (number + rng.random()) / (kills + 3))
        hit = kill(start(workdir, devices), workdir, kind, target, rng)
        writes += hit
        saved = sorted(
            int(path.name) for path in (workdir / "checkpoints").glob("*") if path.name.isdigit()
        )
        where = ", in a write" if hit else ""
        print(f"kill {number + 1}: {kind}, {devices} devices, saved {saved}{where}", flush=True)
    finish(start(workdir, device_counts[kills % len(device_counts)]))
    seconds = time.monotonic() - began
    print(f"{kills} kills survived, {writes} of them while writing, {seconds:.0f} s")
    return writes


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Return the workdir of an undisturbed run."""
    workdir = tmp_path_factory.mktemp("soak") / "whole"
    finish(start(workdir))
    return workdir


def test_twenty_kills_change_no_bit(whole, tmp_path):
    writes = soak(tmp_path / "run", 20, [1])
    ours, theirs = (
        vae_jax.load(workdir, step=STEPS).params for workdir in (tmp_path / "run", whole)
    )
    chex.assert_trees_all_equal(ours, theirs)
    assert (tmp_path / "run" / "metrics.jsonl").read_bytes() == (
        whole / "metrics.jsonl"
    ).read_bytes()
    ours, theirs = (
        json.loads((path / "results.json").read_text()) for path in (tmp_path / "run", whole)
    )
    assert ours.keys() == theirs.keys()
    for name in ours.keys() - {"seconds", "command", "training_command", "training"}:
        assert ours[name] == theirs[name], name
    left = {path.name for path in (tmp_path / "run").iterdir()}
    assert left == {path.name for path in whole.iterdir()}
    assert {p.name for p in (tmp_path / "run/checkpoints").iterdir()} == {
        p.name for p in (whole / "checkpoints").iterdir()
    }
    assert writes > 0


def test_kills_and_another_number_of_devices_after_each(whole, tmp_path):
    soak(tmp_path / "run", 20, [1, 2, 4, 8])
    ours, theirs = (
        vae_jax.load(workdir, step=STEPS).params for workdir in (tmp_path / "run", whole)
    )
    pairs = zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True)
    largest = max(float(np.linalg.norm(a - b) / np.linalg.norm(b)) for a, b in pairs)
    print(f"parameters differ by {largest:.1e}, relative to the norm of each array")
    assert largest < 1e-4
    lines, others = read_metrics(tmp_path / "run"), read_metrics(whole)
    assert [(line["step"], line["split"]) for line in lines] == [
        (line["step"], line["split"]) for line in others
    ]
    for line, other in zip(lines, others, strict=True):
        assert numbers(line) == pytest.approx(numbers(other), rel=1e-4, abs=1e-5)
    tests = (
        json.loads((workdir / "results.json").read_text())["test"]
        for workdir in (tmp_path / "run", whole)
    )
    assert next(tests) == pytest.approx(next(tests), rel=1e-4, abs=1e-5)
