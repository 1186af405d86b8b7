"""What an import loads: `import vae_jax` is the library alone, and `--help` needs no framework."""

import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]
FRAMEWORKS = ("torch", "tensorflow")
CACHE = "JAX_COMPILATION_CACHE_DIR"
HEAVY = (*FRAMEWORKS, "tensorboardX", "sklearn", "matplotlib", "orbax", "rdkit", "selfies")
LIBRARY = """
import sys
import vae_jax
for name in vae_jax.__all__:
    getattr(vae_jax, name)
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


def test_the_disentanglement_scores_wait_for_scikit_learn(run_with_fakes):
    code = "import vae_jax.experiment.training.loop, vae_jax.evaluation.disentanglement"
    result = run_with_fakes((*FRAMEWORKS, "sklearn"), "-c", code)
    assert result.returncode == 0, result.stderr


def test_the_fakes_raise(run_with_fakes):
    result = run_with_fakes(HEAVY, "-c", "import orbax.checkpoint")
    assert "AssertionError: orbax was imported" in result.stderr


def test_help_loads_no_framework(run_with_fakes):
    names = (*HEAVY, "jax", "flax", "optax", "scipy")
    result = run_with_fakes(names, "-m", "vae_jax.main", "--help")
    assert result.returncode == 0, result.stderr
    assert "--workdir" in result.stdout


def test_digits_load_without_scikit_learn(run_with_fakes):
    code = "import vae_jax; assert vae_jax.data.load('digits').shape == (8, 8, 1)"
    result = run_with_fakes(("matplotlib", "orbax", "scipy"), "-c", code)
    assert result.returncode == 0, result.stderr


def test_the_library_sets_no_cache(run_with_fakes):
    code = (
        "import vae_jax, jax\n"
        "for name in vae_jax.__all__: getattr(vae_jax, name)\n"
        "import vae_jax.experiment.training.loop\n"
        "assert jax.config.jax_compilation_cache_dir is None"
    )
    result = run_with_fakes((), "-c", f"import os; os.environ.pop('{CACHE}', None)\n{code}")
    assert result.returncode == 0, result.stderr
