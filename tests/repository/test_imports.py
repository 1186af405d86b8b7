"""What an import loads: `import vae_jax` is the library alone, and `--help` needs no framework."""

import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]
FRAMEWORKS = ("torch", "tensorflow")
HEAVY = (*FRAMEWORKS, "tensorboardX", "sklearn", "matplotlib", "orbax")
LIBRARY = """
import sys
import vae_jax
above = [name for name in sys.modules if name.startswith(("vae_jax.config", "vae_jax.experiment"))]
assert not above, above
"""


@pytest.fixture
def run_with_fakes(tmp_path):
    """Run Python where modules of the given names stand first on the path and raise."""

    def run(names, *arguments):
        for name in names:
            (tmp_path / f"{name}.py").write_text(f"raise AssertionError('{name} was imported')\n")
        path = os.pathsep.join(map(os.fspath, (tmp_path, ROOT)))
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": path, "COLUMNS": "200"},
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def test_the_library_loads_nothing_heavy(run_with_fakes):
    result = run_with_fakes(HEAVY, "-c", LIBRARY)
    assert result.returncode == 0, result.stderr


def test_the_fakes_raise(run_with_fakes):
    result = run_with_fakes(HEAVY, "-c", "import orbax.checkpoint")
    assert "AssertionError: orbax was imported" in result.stderr


def test_help_loads_no_framework(run_with_fakes):
    result = run_with_fakes(FRAMEWORKS, "-m", "vae_jax.main", "--help")
    assert result.returncode == 0, result.stderr
    assert "--workdir" in result.stdout
