"""Real data sets, and a cache of compiled programs for all tests."""

import gc
import os
import pathlib
import subprocess
import tempfile
from collections.abc import Iterator

import pytest

# Tests compile the same small programs many times; xdist workers inherit the folder.
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", tempfile.mkdtemp(prefix="vae_jax_tests_"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")

MAPPINGS = 30_000  # of memory; Linux allows a process 65,530, and a compiled program has several


@pytest.fixture(scope="module", autouse=True)
def room_for_programs() -> Iterator[None]:
    """Drop the compiled programs of earlier modules before there is no room for others."""
    yield
    mappings = pathlib.Path("/proc/self/maps")  # of Linux
    if mappings.exists() and mappings.read_text().count("\n") > MAPPINGS:
        import jax  # reads the variables above when it is imported

        jax.clear_caches()
        gc.collect()


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
