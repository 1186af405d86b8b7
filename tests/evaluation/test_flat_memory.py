"""Peak memory does not grow with examples, draws, or the size of the training set."""

import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

PROGRAM = pathlib.Path(__file__).parents[1] / "programs" / "peak_memory.py"
MAX_GROWTH = 90  # MB, of compilation and labels; all at once would be hundreds more


def peaks(*arguments):
    """The peak of the small, and of the large, computation in one process, in MB."""
    result = subprocess.run(
        [sys.executable, str(PROGRAM), *arguments],
        capture_output=True,
        text=True,
        check=True,
        # Compiling is part of the peak of the small computation, so no program is from a cache.
        env=os.environ | {"JAX_PLATFORMS": "cpu", "JAX_ENABLE_COMPILATION_CACHE": "false"},
    )
    return [float(peak) for peak in result.stdout.split()]


@pytest.mark.slow
@pytest.mark.parametrize("what", ["gap", "draws"])
def test_examples_and_draws(what):
    small, large = peaks(what)
    assert large - small < MAX_GROWTH, (small, large)


@pytest.mark.slow
@pytest.mark.parametrize("what", ["quality", "augmentation"])
def test_a_streamed_training_set(what, tmp_path):
    rng = np.random.default_rng(0)
    images = rng.integers(256, size=(60_000, 28, 28), dtype=np.uint8)
    labels = np.arange(60_000) % 10
    for size in (10_000, 60_000):
        np.savez(
            tmp_path / f"{size}.npz",
            train_images=images[:size],
            train_labels=labels[:size],
            test_images=images[:1000],
            test_labels=labels[:1000],
        )
    small, large = peaks(what, str(tmp_path))
    assert large - small < MAX_GROWTH, (small, large)
