"""Every config from the command line, to the end: with its steps cut down, on embedded data."""

import json
import pathlib
import runpy
import subprocess
import sys
import time

import pytest

ROOT = pathlib.Path(__file__).parents[2]
SHORTER = {  # if a config has them
    "objective.beta_steps": 50,
    "optimizer.warmup_steps": 10,
    "codes.prior_steps": 50,
}
CONFIGS = sorted(path.stem for path in (ROOT / "configs").glob("*.py"))


@pytest.mark.slow
@pytest.mark.parametrize("name", CONFIGS)
def test_a_config_runs_in_two_minutes(name, tmp_path):
    """Needs an otherwise idle machine."""
    config = runpy.run_path(str(ROOT / "configs" / f"{name}.py"))["get_config"]()
    shorter = ["--config.train.num_steps=100"]
    for field, steps in SHORTER.items():
        section, leaf = field.split(".")
        if getattr(getattr(config, section), leaf):
            shorter.append(f"--config.{field}={steps}")
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
    figures = [path.name for path in (tmp_path / "figures").iterdir()]
    assert "learning_curves.png" in figures
    assert any(name.endswith("reconstructions.png") for name in figures)  # also of columns, text
    assert seconds < 120
