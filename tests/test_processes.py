"""The same run on one device, on eight, and on two processes of four: the same numbers, and each goes on from the others."""

import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys

import jax
import numpy as np
import pytest
from one_process import CONFIG
from test_loop import small

import vae_jax
from vae_jax import loop, processes, visualize
from vae_jax.errors import InputError
from vae_jax.records import read_metrics

SCRIPT = pathlib.Path(__file__).with_name("one_process.py")


def start(workdir, num_devices, *several):
    env = os.environ | {"XLA_FLAGS": f"--xla_force_host_platform_device_count={num_devices}", "JAX_PLATFORMS": "cpu"}
    env["PYTHONPATH"] = os.pathsep.join([str(SCRIPT.parents[1]), str(SCRIPT.parent), env.get("PYTHONPATH", "")])
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), str(workdir), *map(str, several)], env=env, stderr=subprocess.PIPE, text=True
    )


def finish(*started):
    errors = [process.communicate(timeout=300)[1] for process in started]
    return [process.returncode for process in started], errors


def start_two(workdir):
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = probe.getsockname()[1]
    return [start(workdir, 4, port, 2, index) for index in range(2)]


def halved(workdir, copy):
    """A copy of a run as it was at step 50, with the lines that it had written until it was stopped."""
    shutil.copytree(workdir, copy)
    shutil.rmtree(copy / "checkpoints" / "100")
    return copy


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Workdirs of finished runs, by how they were made."""
    root = tmp_path_factory.mktemp("processes")
    two = start_two(root / "two")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(visualize, "draw_all", lambda *args, **kwargs: [])
        loop.train_and_evaluate(small(**CONFIG), root / "one")
        codes, errors = finish(*two)
        assert codes == [0, 0], errors
        eight = start(halved(root / "one", root / "one_then_eight"), 8)
        loop.train_and_evaluate(small(**CONFIG), halved(root / "two", root / "two_then_one"))
        codes, errors = finish(eight)
        assert codes == [0], errors
    return root


def largest_difference(workdir, other):
    trees = [jax.tree.leaves(vae_jax.load(path, step=100).params) for path in (workdir, other)]
    return max(float(np.linalg.norm(a - b) / np.linalg.norm(b)) for a, b in zip(*trees, strict=True))


@pytest.mark.parametrize("how", ["two", "one_then_eight", "two_then_one"])
def test_the_numbers_are_those_of_one_device(runs, how):
    assert largest_difference(runs / how, runs / "one") < 1e-4
    ours, theirs = read_metrics(runs / how), read_metrics(runs / "one")
    assert [line["step"] for line in ours] == [line["step"] for line in theirs]
    for our, their in zip(ours, theirs, strict=True):
        assert our["elbo"] == pytest.approx(their["elbo"], rel=1e-4)
    results = [json.loads((runs / path / "results.json").read_text())["test"]["elbo"] for path in (how, "one")]
    assert results[0] == pytest.approx(results[1], rel=1e-4)


def test_one_of_the_processes_writes(runs):
    assert (runs / "two.drawn").read_text() == "once\n"
    assert len(list((runs / "two" / "tensorboard").iterdir())) == 1
    steps = [line["step"] for line in read_metrics(runs / "two") if line["split"] == "train"]
    assert steps == list(range(10, 101, 10))


def test_an_error_of_the_first_process_ends_all(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "metrics.jsonl").touch()
    codes, errors = finish(*start_two(tmp_path / "run"))
    assert codes == [1, 1]
    assert all("no config.json, so not a run to go on with" in error for error in errors)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("host:1", None, None), r"num_processes: must be given with coordinator"),
        ((None, 2, 0), r"coordinator: must be given with num_processes, process_index"),
        (("host:1", 2, 2), r"process_index = 2: must be from 0 to 1"),
        (("host", 2, 0), r"coordinator = 'host': must be an address and a port"),
    ],
)
def test_flags_that_cannot_be_meant(flags, message):
    with pytest.raises(InputError, match=message):
        processes.start(*flags)


def test_alone_it_starts_nothing():
    processes.start()
    processes.start("localhost:1", 1, 0)
    assert processes.is_first()
    assert not processes.any_of(False)
    assert processes.any_of(True)
