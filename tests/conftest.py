"""Where real data may be, and what tests share."""

import os
import pathlib

import pytest

ROOT = pathlib.Path(__file__).parents[1]


@pytest.fixture(scope="session")
def real_data() -> pathlib.Path:
    """The folder of real data sets: $VAE_JAX_DATA, or ../shared/data beside the repository; tests that need it skip without."""
    path = pathlib.Path(os.environ.get("VAE_JAX_DATA", ROOT.parent / "shared" / "data"))
    if not path.is_dir():
        pytest.skip("real data are not here; set VAE_JAX_DATA")
    return path
