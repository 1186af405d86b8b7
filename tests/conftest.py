"""Where real data may be, and a cache of compiled programs that all tests share."""

import os
import pathlib
import tempfile

import pytest

ROOT = pathlib.Path(__file__).parents[1]

# Tests compile the same small programs again and again; under xdist the workers inherit the folder of the first process.
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", tempfile.mkdtemp(prefix="vae_jax_tests_"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")


@pytest.fixture(scope="session")
def real_data() -> pathlib.Path:
    """The folder of real data sets: $VAE_JAX_DATA, or ../shared/data beside the repository; tests that need it skip without."""
    path = pathlib.Path(os.environ.get("VAE_JAX_DATA", ROOT.parent / "shared" / "data"))
    if not path.is_dir():
        pytest.skip("real data are not here; set VAE_JAX_DATA")
    return path
