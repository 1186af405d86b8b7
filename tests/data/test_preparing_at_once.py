"""Two processes that prepare one data set of tensorflow-datasets in one folder at once."""

import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]
SCRIPT = ROOT / "tests" / "programs" / "prepare_at_once.py"


def start(folder):
    env = os.environ | {"PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([sys.executable, str(SCRIPT), str(folder)], env=env, **pipes)


@pytest.mark.slow
def test_one_prepares_and_both_read_the_same(tmp_path):
    both = [start(tmp_path), start(tmp_path)]
    outputs = [process.communicate(timeout=200) for process in both]
    for process, (_, stderr) in zip(both, outputs, strict=True):
        assert process.returncode == 0, stderr
    lines = [stdout.splitlines()[-1] for stdout, _ in outputs]
    assert lines[0] == lines[1]
    assert lines[0].startswith("20 ")
    assert sorted((tmp_path / "prepared").read_text().split()) == ["10", "20"]  # once


@pytest.mark.slow
def test_a_killed_preparation_is_begun_again(tmp_path):
    first = start(tmp_path)
    while not (tmp_path / "prepared").exists():
        assert first.poll() is None
    first.kill()
    first.communicate()
    again = start(tmp_path)
    stdout, stderr = again.communicate(timeout=200)
    assert again.returncode == 0, stderr
    assert stdout.splitlines()[-1].startswith("20 ")
