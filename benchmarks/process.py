"""Whole processes: imports, compilation, training, evaluation, checkpoints and figures.

A job is a table of variants with the same outcome. A variant is one command, or several in
sequence. Compilers start cold; the later commands of a sequence find the programs of the earlier.
"""

import dataclasses
import os
import pathlib
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks import images
from benchmarks.children import ROOT, ChildFailed, clean_environment, scratch_folder
from benchmarks.contestants import CONTESTANTS, PYTORCH, skip_reason
from benchmarks.rounds import alternating

Commands = list[list[str]]
NUM_SEEDS, NUM_TRAIN = 8, 100_000
AS_MNIST = ("--config.data.binarization=dynamic", "--config.model.network=mlp")
BETA_VAE = {  # as in our config, which leaves the frequency of validations to its default
    "batch_size": 64,
    "learning_rate": 5e-4,
    "beta": 4.0,
    "log_every": 50,
    "eval_every": 400,
}


@dataclasses.dataclass(frozen=True)
class Job:
    """Variants by name: `commands(data, workdir, steps)`; `prepare` makes the data, untimed."""

    commands: Callable[[pathlib.Path, pathlib.Path, int], Mapping[str, Commands]]
    prepare: Callable[[pathlib.Path], None] | None = None
    rivals: tuple[str, ...] = ()  # contestants among the variants that may not be installed


def _ours(config: str, steps: int, workdir: pathlib.Path, *flags: str) -> list[str]:
    flags = [
        f"--config={config}",
        f"--config.train.num_steps={steps}",
        f"--workdir={workdir}",
        *flags,
    ]
    return [sys.executable, "-m", "vae_jax.main", *flags]


def _beta_vae(data: pathlib.Path, workdir: pathlib.Path, steps: int) -> dict[str, Commands]:
    """The beta-VAE on sprites: ours renders them on the fly, PyTorch reads them from a file."""
    validations = f"--config.train.eval_every={BETA_VAE['eval_every']}"
    variants = {"vae_jax": [_ours("beta_vae:burgess", steps, workdir / "vae_jax", validations)]}
    for name in PYTORCH:
        if CONTESTANTS[name].missing():
            continue
        flags = [f"--data={data}", f"--workdir={workdir / name}", f"--steps={steps}"]
        flags += [f"--{flag}={value}" for flag, value in BETA_VAE.items()]
        flags += ["--compile"] if name == "torch_compile" else []
        variants[CONTESTANTS[name].title] = [
            [sys.executable, "-m", "benchmarks.torch_sprites", *flags]
        ]
    return variants


def _seeds(config: str, steps: int, workdir: pathlib.Path, *flags: str) -> dict[str, Commands]:
    """Eight seeds of a config: one program, or eight runs one after the other."""
    seeds = ",".join(map(str, range(NUM_SEEDS)))
    alone = [
        _ours(config, steps, workdir / f"seed{seed}", f"--config.seed={seed}", *flags)
        for seed in range(NUM_SEEDS)
    ]
    together = _ours(config, steps, workdir / "sweep", f"--config.sweep.seed={seeds}", *flags)
    return {"one program": [together], "one after the other": alone}


def _sweep(data: pathlib.Path, workdir: pathlib.Path, steps: int) -> dict[str, Commands]:
    """The VAE of digits, 64 pixels."""
    del data
    return _seeds("vae", steps, workdir)


def _sweep_784(data: pathlib.Path, workdir: pathlib.Path, steps: int) -> dict[str, Commands]:
    """The same VAE for 784 pixels."""
    return _seeds("vae:npz", steps, workdir, f"--config.data.path={data}", *AS_MNIST)


def render_sprites(path: pathlib.Path) -> None:
    """Write the file of sprites for PyTorch."""
    subprocess.run(
        [sys.executable, "-m", "benchmarks.sprites_file", str(path), str(NUM_TRAIN)],
        cwd=ROOT,
        check=True,
    )


def write_digits(path: pathlib.Path, num_train: int = 60_000, num_test: int = 10_000) -> None:
    """Write a file of synthetic 28x28 images, by default as many as MNIST has."""
    np.savez(path, x_train=images.digits(num_train), x_test=images.digits(num_test, seed=1))


JOBS = {
    "beta_vae": Job(_beta_vae, render_sprites, PYTORCH),
    "sweep": Job(_sweep),
    "sweep_784": Job(_sweep_784, write_digits),
}


def run_timed(commands: Sequence[Sequence[str]], scratch: pathlib.Path) -> dict[str, float]:
    """Wall-clock seconds of the commands in sequence, and the peak memory over them.

    Raises:
      ChildFailed: if a command fails.
    """
    memory, start = 0.0, time.perf_counter()
    for command in commands:
        with open(scratch / "output", "w") as output:
            process = subprocess.Popen(
                command,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=ROOT,
                env=clean_environment(scratch),
            )
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            words = (scratch / "output").read_text(errors="replace").strip().splitlines() or [
                "no output"
            ]
            raise ChildFailed(words[-1][:300])
        memory = max(memory, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6)
    return {"seconds": time.perf_counter() - start, "memory_mb": memory}


def measure_job(
    name: str, steps: int, repeats: int, say: Callable[[str], None]
) -> dict[str, dict[str, Any]]:
    """Medians of each variant of a job, without runs that failed.

    The order alternates, and every run has an empty workdir.
    """
    job, times = JOBS[name], {}
    for rival in job.rivals:
        if missing := CONTESTANTS[rival].missing():
            say(f"{name}: skipped {CONTESTANTS[rival].title}, {skip_reason(missing)}")
    with scratch_folder() as data:
        if job.prepare:
            job.prepare(data / "data.npz")
        variants = job.commands(data / "data.npz", data, steps)
        for order in alternating(variants, repeats):
            for variant in order:
                with scratch_folder() as scratch:
                    commands = job.commands(data / "data.npz", scratch, steps)[variant]
                    try:
                        result = run_timed(commands, scratch)
                    except ChildFailed as reason:
                        say(f"process {name}, {variant}: skipped a run, {reason}")
                        continue
                    say(f"process {name}, {variant}: {result['seconds']:.1f} s")
                    times.setdefault(variant, []).append(result)
    return {
        variant: {
            "seconds": statistics.median(t["seconds"] for t in runs),
            "all_seconds": [t["seconds"] for t in runs],
            "memory_mb": max(t["memory_mb"] for t in runs),
        }
        for variant, runs in times.items()
    }
