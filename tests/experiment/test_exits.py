"""The end of the command line: one line and an exit status for each expected error."""

import pathlib
import re

import jax
import numpy as np
import pytest

import vae_jax
from vae_jax.errors import InputError, Interrupted, RunDiverged, RunStopped, explain_interrupt
from vae_jax.experiment import evaluate
from vae_jax.experiment.launch import devices, early_exit, exits
from vae_jax.experiment.overrides import advise_evaluation
from vae_jax.experiment.processes import SharedError


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (InputError("config.seed = -1: wrong"), 2, "error: config.seed = -1: wrong"),
        (RunDiverged("step 3: not finite"), 3, "error: step 3: not finite"),
        (RunStopped("out of memory"), 1, "error: out of memory"),
        (OSError(28, "No space left"), 1, "error: [Errno 28] No space left"),
        (SharedError("process 1: a", InputError), 2, "error: process 1: a"),
        (SharedError("process 1: b", RunDiverged), 3, "error: process 1: b"),
        (SharedError("process 1: c", RunStopped), 1, "error: process 1: c"),
        (Interrupted("step 3 is saved", 143), 143, "step 3 is saved"),
        (Interrupted("step 3 is saved"), 130, "step 3 is saved"),
        (KeyboardInterrupt(), 130, early_exit.AGAIN),
    ],
)
def test_one_line_and_a_status_for_each(capsys, error, status, line):
    with pytest.raises(SystemExit) as stop, exits.exit_with_message():
        raise error
    assert stop.value.code == status
    assert capsys.readouterr().err == f"{line}\n"


def test_a_defect_keeps_its_traceback():
    with pytest.raises(ZeroDivisionError), exits.exit_with_message():
        raise ZeroDivisionError


def test_only_the_command_line_ends_the_program():
    package = pathlib.Path(vae_jax.__file__).parent
    pattern = re.compile(r"sys\.exit|SystemExit\(")
    ends = {path.name for path in package.rglob("*.py") if pattern.search(path.read_text())}
    assert ends == {"cli.py", "exits.py"}  # a library raises


def test_an_interrupt_is_explained_once():
    with pytest.raises(Interrupted, match="outer"), explain_interrupt(lambda: "outer"):
        raise KeyboardInterrupt
    with (
        pytest.raises(Interrupted, match="inner"),
        explain_interrupt(lambda: "outer"),
        explain_interrupt(lambda: "inner"),
    ):
        raise KeyboardInterrupt


@pytest.mark.parametrize("is_training", [True, False])
def test_an_interrupted_evaluation_says_how_to_continue(monkeypatch, is_training):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(evaluate.sweep, "sweep_lists", interrupted)
    with pytest.raises(Interrupted) as error:
        evaluate.evaluate_runs([], [], None, "runs/my run", is_training=is_training)
    assert str(error.value) == advise_evaluation("runs/my run", is_training=is_training)
    command = "python -m vae_jax.main --mode=eval --workdir='runs/my run'"
    assert str(error.value).endswith(command if is_training else "the same command starts again")


def missing_device(*_):
    raise AssertionError


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        (
            {"JAX_PLATFORMS": "cuda"},
            "JAX_PLATFORMS = 'cuda': no such device here; omit it, or install vae_jax\\[cuda\\]$",
        ),
        ({"JAX_PLATFORMS": "tpu"}, "JAX_PLATFORMS = 'tpu': no such device .*vae_jax\\[tpu\\]$"),
        ({"JAX_PLATFORM_NAME": "gpu"}, "JAX_PLATFORM_NAME = 'gpu': no such .*vae_jax\\[cuda\\]$"),
        (
            {"JAX_PLATFORMS": "cdua,cpu"},
            "JAX_PLATFORMS = 'cdua,cpu': unknown platform; allowed are cpu, cuda, gpu, rocm, tpu; "
            "did you mean 'cuda'\\?$",
        ),
        (
            {"JAX_PLATFORMS": "cpu"},
            "JAX_PLATFORMS = 'cpu': the device cannot be used \\(AssertionError\\)",
        ),
        (
            {"CUDA_VISIBLE_DEVICES": "junk"},
            "no device can be used \\(AssertionError; CUDA_VISIBLE_DEVICES = 'junk'\\); "
            "JAX_PLATFORMS=cpu runs on the processor",
        ),
    ],
)
def test_a_device_that_is_not_there(monkeypatch, variables, message):
    for name in (*devices.VARIABLES, "CUDA_VISIBLE_DEVICES"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(jax, "devices", missing_device)
    monkeypatch.setattr(devices.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(RunStopped, match=f"^{message}"):
        devices.check_devices()


def test_a_device_that_is_not_there_for_a_call_in_python(monkeypatch):
    monkeypatch.setenv("JAX_PLATFORMS", "rocm")
    monkeypatch.setattr(jax, "devices", missing_device)
    for call in (lambda: vae_jax.load("run"), lambda: vae_jax.fit(np.eye(9))):
        with pytest.raises(RunStopped, match=r"^JAX_PLATFORMS = 'rocm': no such device here"):
            call()


def test_a_plugin_whose_device_cannot_be_used(monkeypatch):
    monkeypatch.setenv("JAX_PLATFORMS", "cuda")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setattr(jax, "devices", missing_device)
    monkeypatch.setattr(devices.importlib.util, "find_spec", lambda name: name)
    with pytest.raises(RunStopped, match=r"cannot be used .*CUDA_VISIBLE_DEVICES = ''"):
        devices.check_devices()


def test_a_variable_that_jax_refuses():
    message = r"JAX cannot be loaded \(ValueError: invalid .*JAX_ENABLE_X64.*begin with JAX_"
    with pytest.raises(RunStopped, match=message), exits.explain_import():
        raise ValueError("invalid truth value 'junk' for environment 'JAX_ENABLE_X64'")
