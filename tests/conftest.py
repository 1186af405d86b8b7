"""Real data sets, and a cache of compiled programs for all tests."""

import os
import pathlib
import subprocess
import tempfile

import pytest

# Tests compile the same small programs many times; xdist workers inherit the folder.
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", tempfile.mkdtemp(prefix="vae_jax_tests_"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")


@pytest.fixture(scope="session")
def real_data() -> pathlib.Path:
    """The folder of real data sets, $VAE_JAX_DATA; skips the test if there is none."""
    path = os.environ.get("VAE_JAX_DATA")
    if not path:
        pytest.skip("needs real data: set VAE_JAX_DATA to their folder")
    if not pathlib.Path(path).is_dir():
        pytest.fail(f"VAE_JAX_DATA = {path!r}: no such folder")
    return pathlib.Path(path)


@pytest.fixture
def disk(tmp_path):
    """Mount a disk of two megabytes; skips the test if mounting is not permitted."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "none", folder], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("mounting is not permitted here")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)
