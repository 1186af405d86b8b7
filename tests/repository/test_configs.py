"""Every config from the command line, to the end: with its steps cut down, on embedded data."""

import json
import pathlib
import subprocess
import sys
import time

import pytest

ROOT = pathlib.Path(__file__).parents[2]
CONFIGS = sorted(path.stem for path in (ROOT / "configs").glob("*.py"))


@pytest.mark.slow
@pytest.mark.parametrize("name", CONFIGS)
def test_a_config_runs_in_two_minutes(name, tmp_path):
    """Needs an otherwise idle machine."""
    shorter = ["--config.train.num_steps=100", "--config.objective.beta_steps=50"]
    if name in ("beta_vae", "beta_tc_vae"):
        shorter = ["--config.train.num_steps=100", "--config.optimizer.warmup_steps=10"]
    elif name in ("vq_vae", "fsq_vae"):
        shorter = ["--config.train.num_steps=100", "--config.codes.prior_steps=50"]
    elif name not in ("ladder_vae", "hierarchical_conv", "pixel_vae"):
        shorter = shorter[:1]
    start = time.monotonic()
    run = subprocess.run(
        [
            sys.executable,
            "-m",
            "vae_jax.main",
            f"--config=configs/{name}.py",
            f"--workdir={tmp_path}",
            *shorter,
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = time.monotonic() - start
    assert run.returncode == 0, run.stderr
    results = json.loads((tmp_path / "results.json").read_text())
    assert results["test"]["distortion"] is not None
    prefix = "column_" if name == "table_vae" else ""
    assert {f"{prefix}reconstructions.png", "learning_curves.png"} <= {
        path.name for path in (tmp_path / "figures").iterdir()
    }
    assert seconds < 120
