"""CONTRIBUTING: the four steps of an objective are applied to a copy, and work there."""

import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]
STEPS = re.findall(r"^```diff\n(.*?)^```", (ROOT / "CONTRIBUTING.md").read_text(), re.M | re.S)
TESTS = ("tests/objectives/test_target.py", "tests/experiment/builders/test_wiring.py")


@pytest.fixture
def copy(tmp_path):
    """A copy of what the steps touch, with the steps applied."""
    if shutil.which("git") is None:
        pytest.skip("git applies the steps")
    for name in ("vae_jax", "configs", "tests", "pyproject.toml"):
        copying = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copying(ROOT / name, tmp_path / name)
    command = ["git", "apply", "--whitespace=error-all", "-"]
    env = os.environ | {"GIT_CEILING_DIRECTORIES": str(tmp_path.parent)}
    for step in STEPS:
        subprocess.run(command, input=step, text=True, cwd=tmp_path, env=env, check=True)
    return tmp_path


def test_the_four_steps_apply(copy):
    assert len(STEPS) == 4
    assert "target_weight" in (copy / "vae_jax" / "config" / "objective.py").read_text()
    assert all((copy / test).exists() for test in TESTS)


@pytest.mark.slow  # JAX is imported once more
def test_the_new_objective_passes_its_tests(copy):
    command = [sys.executable, "-m", "pytest", *TESTS, "-k", "test_target or target or tried"]
    env = os.environ | {"PYTHONPATH": str(copy)}
    result = subprocess.run(command, cwd=copy, env=env, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    assert int(re.search(r"(\d+) passed", result.stdout)[1]) >= 4
