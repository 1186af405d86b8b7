"""Ctrl-C and SIGTERM at any moment of the command line.

Ten to twenty minutes of `python -m pytest -m slow -s tests/experiment/test_interrupts.py`. It
prints the seed of the moments; VAE_JAX_INTERRUPT_SEED repeats one.
"""

import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import time

import pytest

from vae_jax.experiment.launch import early_exit
from vae_jax.experiment.storage.metric_writer import read_metrics

ROOT = pathlib.Path(__file__).parents[2]
SIGNALS = [signal.SIGINT, signal.SIGTERM]
MOMENTS = 20
FIRST = 0.1  # seconds
WITHIN = 30.0  # seconds from a signal to the end
FLAGS = [
    "--config=configs/vae.py",
    "--config.model.hidden=64,",
    "--config.train.num_steps=2000",
    "--config.train.log_every=20",
    "--config.train.eval_every=500",
    "--config.evaluation.metrics=likelihood,gap",
]


def run(code, number):
    code = f"import os, signal\nfrom vae_jax.experiment.launch import early_exit\n{code}"
    code = code.replace("SEND", f"os.kill(os.getpid(), {int(number)})")
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, preexec_fn=defaults
    )


def defaults():
    """Undo what a shell does for commands in the background."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_DFL)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_is_one_line_where_no_exception_could_be_caught(number):
    code = (
        "early_exit.arm()\n"
        "class Lost:\n"
        "  def __del__(self):\n"
        "    SEND\n"
        "    print('in vain')\n"
        "Lost()\n"
        "print('lost')\n"
    )
    result = run(code, number)
    expected = (128 + number, f"{early_exit.AGAIN}\n", "")
    assert (result.returncode, result.stderr, result.stdout) == expected


@pytest.mark.parametrize("number", SIGNALS)
def test_it_prints_the_innermost_advice_and_leaves_no_temporary_file(tmp_path, number):
    code = (
        "early_exit.arm()\n"
        "import pathlib\n"
        "from vae_jax import errors, files\n"
        "from vae_jax.experiment.storage.lock import lock_directory\n"
        f"folder = pathlib.Path({str(tmp_path)!r})\n"
        "with errors.explain_interrupt(lambda: 'outer'), lock_directory(folder):\n"
        "  with errors.explain_interrupt(lambda: 'never'): pass\n"
        "  with files.replace_atomically(folder / 'a') as a, files.temporary_folder(a) as b:\n"
        "    a.touch(), (b / 'c').touch()\n"
        "    assert len(list(folder.iterdir())) == 3\n"
        "    SEND\n"
    )
    result = run(code, number)
    assert (result.returncode, result.stderr) == (128 + number, "outer\n")
    assert list(tmp_path.iterdir()) == []


def test_advice_that_fails_is_replaced():
    code = (
        "early_exit.arm()\n"
        "from vae_jax.errors import explain_interrupt\n"
        "with explain_interrupt(lambda: 1 / 0):\n"
        "  SEND\n"
    )
    assert run(code, signal.SIGINT).stderr == f"{early_exit.AGAIN}\n"


def test_a_signal_that_is_ignored_and_a_notebook_keep_their_handlers():
    code = (
        "import sys\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "early_exit.arm()\n"
        "SEND\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "sys.modules['IPython'] = sys\n"
        "early_exit.arm()\n"
        "kept = signal.getsignal(signal.SIGINT) is signal.default_int_handler\n"
        "print(kept, early_exit.is_armed())"
    )
    result = run(code, signal.SIGTERM)
    assert (result.returncode, result.stdout) == (0, "True False\n")


def test_a_stopped_training_does_not_wait_for_threads():
    code = (
        "early_exit.arm()\n"
        "import threading, time\n"
        "from vae_jax.errors import Interrupted\n"
        "from vae_jax.experiment.launch import exits\n"
        "threading.Thread(target=time.sleep, args=[100]).start()\n"
        "print('before')\n"
        "with exits.exit_with_message():\n"
        "  raise Interrupted('step 3 is saved', 143)\n"
    )
    started = time.monotonic()
    result = run(code, 0)
    assert (result.returncode, result.stderr) == (143, "step 3 is saved\n")
    assert result.stdout == "before\n"
    assert time.monotonic() - started < 60


def start(workdir):
    command = [sys.executable, "-X", "faulthandler", "-m", "vae_jax.main", *FLAGS]
    return subprocess.Popen(
        [*command, f"--workdir={workdir}"],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=defaults,
    )


def wait_for_handlers(process):
    """Wait until the first line of `vae_jax.main` has run; before it, Python loads itself."""
    mask = 1 << (signal.SIGTERM - 1)
    status = pathlib.Path(f"/proc/{process.pid}/status")
    while True:
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
        if int(lines["SigCgt"], 16) & mask:
            return
        assert process.poll() is None
        time.sleep(0.001)


def finish(workdir):
    started = time.monotonic()
    process = start(workdir)
    _, stderr = process.communicate(timeout=600)
    assert process.returncode == 0, stderr
    return time.monotonic() - started


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Return the workdir of an undisturbed run, and its seconds with programs compiled before."""
    folder = tmp_path_factory.mktemp("interrupts")
    finish(folder / "first")
    return folder / "whole", finish(folder / "whole")


@pytest.mark.slow
@pytest.mark.skipif(not pathlib.Path("/proc/self/status").exists(), reason="needs /proc")
@pytest.mark.parametrize("number", SIGNALS)
def test_twenty_moments(whole, tmp_path, number):
    """Half of the runs are new ones, half resume."""
    complete, seconds = whole
    seed = int(os.environ.get("VAE_JAX_INTERRUPT_SEED", time.time_ns() % 1_000_000))
    print(f"\n{number.name}, seed {seed}, {seconds:.0f} s undisturbed")
    rng, count = random.Random(seed), 0
    while count < MOMENTS:
        workdir = tmp_path / ("new" if count % 2 else "again")
        shutil.rmtree(tmp_path / "new", ignore_errors=True)
        moment = FIRST + (seconds - FIRST) * rng.random() ** 2  # most while modules load
        began = time.monotonic()
        process = start(workdir)
        wait_for_handlers(process)
        armed = time.monotonic() - began
        time.sleep(max(0.0, moment - armed))
        process.send_signal(number)
        sent = time.monotonic()
        _, stderr = process.communicate(timeout=300)
        took = time.monotonic() - sent
        if process.returncode == 0 and took < 2:  # it was about to end
            print(f"  {moment:5.2f} s: too late")
            continue
        count += 1
        lines = stderr.splitlines()
        print(f"  {moment:5.2f} s (armed after {armed:.2f}), ended in {took:.2f} s: {lines[-1]}")
        assert process.returncode == 128 + number, stderr
        assert took < WITHIN
        assert "Traceback" not in stderr
        assert "Fatal" not in stderr
        last = [line for line in lines if line.startswith(("interrupted", "stopped by"))]
        assert last == lines[-1:]
        assert not (workdir / "lock").exists()
    finish(tmp_path / "again")
    assert read_metrics(tmp_path / "again") == read_metrics(complete)
