"""Training from files that are streamed, relative to the same training from memory.

python -m benchmarks.streaming [--data_dir=DIR] [--rounds=3] [--out=F]

Jobs: the VAE 784-400-20, whose steps are short, on 28x28 images in an .npz file and in .npy files;
with a folder of tensorflow-datasets that has MNIST as array_record, a convolutional VAE, whose
steps take longer than it takes to decode the PNGs of a batch. Variants: from memory, streamed by a
thread, and by two worker processes. Each run is a whole process. Its rate is that of the training
steps alone, without compilation, evaluation and figures, as in `training.json`. A ratio is the
median over the rounds of the ratio within a round.
"""

import argparse
import dataclasses
import json
import pathlib
import statistics
import subprocess
import sys
from typing import Any

import numpy as np

from benchmarks import machine, report
from benchmarks.children import ROOT, ChildFailed, clean_environment, scratch_folder
from benchmarks.process import AS_MNIST, write_digits
from benchmarks.rounds import alternating

HEADER = ("job", "variant", "examples/s", "to memory", "ratio of each round")
MEMORY = "memory"
VARIANTS = {
    MEMORY: (),
    "thread": ("--config.data.streaming=true",),
    "2 workers": ("--config.data.streaming=true", "--config.data.workers=2"),
}


@dataclasses.dataclass(frozen=True)
class Job:
    """A config with its flags and number of steps."""

    config: str
    steps: int
    flags: tuple[str, ...]


def make_jobs(files: pathlib.Path, data_dir: pathlib.Path | None) -> dict[str, Job]:
    """The jobs on files that `write_files` wrote, and on MNIST if there is a folder of it."""
    jobs = {
        ".npz": Job("vae:npz", 2_000, (*AS_MNIST, f"--config.data.path={files / 'images.npz'}")),
        ".npy": Job("vae:npz", 2_000, (*AS_MNIST, f"--config.data.path={files / 'images'}")),
    }
    if data_dir:
        flags = (f"--config.data.dir={data_dir}", "--config.model.network=conv")
        jobs["PNG, convolutions"] = Job("vae:mnist", 300, flags)
    return jobs


def write_files(folder: pathlib.Path) -> None:
    """Write the same images as an .npz file and as a folder of .npy files."""
    write_digits(folder / "images.npz", 30_000, 1_000)
    (folder / "images").mkdir()
    with np.load(folder / "images.npz") as arrays:
        for name in arrays.files:
            np.save(folder / "images" / f"{name}.npy", arrays[name])


def training_rate(job: Job, flags: tuple[str, ...]) -> float:
    """Examples per second of the training of a new run.

    Raises:
      ChildFailed: if the run fails.
    """
    with scratch_folder() as scratch:
        command = [
            *(sys.executable, "-m", "vae_jax.main", "--mode=train", f"--config={job.config}"),
            *(f"--config.train.{name}={job.steps}" for name in ("num_steps", "eval_every")),
            f"--workdir={scratch / 'run'}",
            *(*job.flags, *flags),
        ]
        run = subprocess.run(
            command, capture_output=True, text=True, cwd=ROOT, env=clean_environment(scratch)
        )
        if run.returncode:
            raise ChildFailed((run.stderr.strip().splitlines() or ["no output"])[-1][:300])
        (session,) = json.loads((scratch / "run" / "training.json").read_text())
        return session["timed_images"] / session["timed_seconds"]


def measure(job: Job, rounds: int) -> dict[str, list[float]]:
    """{variant: its rates in order of the rounds}."""
    rates: dict[str, list[float]] = {name: [] for name in VARIANTS}
    for order in alternating(VARIANTS, rounds):
        for name in order:
            rates[name].append(training_rate(job, VARIANTS[name]))
    return rates


def rows(streaming: dict[str, dict[str, Any]]) -> list[list[str]]:
    """Rows of the table: {job: {"steps", "rates": {variant: rates}}}."""
    result = []
    for name, job in streaming.items():
        for variant, rates in job["rates"].items():
            ratios = [a / b for a, b in zip(rates, job["rates"][MEMORY], strict=True)]
            result.append(
                [
                    f"{name}, {job['steps']:,} steps",
                    variant,
                    f"{statistics.median(rates):,.0f}",
                    f"{statistics.median(ratios):.2f}",
                    " ".join(f"{ratio:.2f}" for ratio in ratios),
                ]
            )
    return result


def main() -> None:
    """Measure, and print the table after each job."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data_dir", type=pathlib.Path, help="folder of tensorflow-datasets")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=pathlib.Path, help="new JSON file for the numbers")
    options = parser.parse_args()
    machine.check_out(options.out)
    record = machine.provenance(sys.argv[1:]) | {"rounds": options.rounds, "streaming": {}}
    print(machine.sentence(record["machine"]), flush=True)
    with scratch_folder() as files:
        write_files(files)
        for name, job in make_jobs(files, options.data_dir).items():
            rates = measure(job, options.rounds)
            record["streaming"][name] = {"steps": job.steps, "rates": rates}
            print(report.table(HEADER, rows(record["streaming"])), flush=True)
            if options.out:  # after each job, so that an error keeps the earlier ones
                from vae_jax.files import write_json  # imports JAX, but not while runs are timed

                write_json(options.out, record)


if __name__ == "__main__":
    main()
