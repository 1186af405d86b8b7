"""Seconds of a short run from the command line, against those of another checkout.

python -m benchmarks.startup --baseline=../older [--config=vae --steps=200] [--repeats=3] [--json=F]

Without `--config`, both jobs are measured: `vae` with 200 steps and `beta_vae` with 50. A round has
three runs, in alternating order: the baseline as its command line is, with an empty cache folder;
this checkout with an empty cache folder ("cold"); and this checkout with the folder that an earlier
run has filled ("warm"). Ratios are medians over the rounds of the ratio within a round, so that
other work on the machine counts for both. Printed besides: seconds until the numbers are printed,
until the first line, and of `--help`; processor seconds, which vary less; and the load. A job of
three rounds takes about ten runs: five minutes for both jobs on an idle machine.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
from typing import Any

from benchmarks import machine
from benchmarks.children import ROOT, ChildFailed, scratch_folder
from benchmarks.rounds import alternating

JOBS = {"vae": 200, "beta_vae": 50}  # config and its number of steps
NUMBERS = "test ELBO"  # in the first line of the results


def environment(checkout: pathlib.Path, cache: pathlib.Path) -> dict[str, str]:
    """Environment variables of a run of a checkout with this cache folder."""
    names = ("JAX_COMPILATION_CACHE", "JAX_PERSISTENT_CACHE", "JAX_ENABLE_COMPILATION_CACHE")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(names)}
    return kept | {
        "PYTHONPATH": os.fspath(checkout),
        "XDG_CACHE_HOME": os.fspath(cache),
        "MPLCONFIGDIR": str(pathlib.Path(tempfile.gettempdir()) / "benchmark_fonts"),
    }


def run_timed(
    checkout: pathlib.Path, flags: list[str], cache: pathlib.Path, sign: str = NUMBERS
) -> dict[str, float]:
    """Seconds of one run: until its first line, until its results, in all, and of processors.

    Raises:
      ChildFailed: the run fails, or prints no line with the sign of the results.
    """
    start = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "vae_jax.main", *flags],
        cwd=checkout,
        env=environment(checkout, cache),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    result: dict[str, float] = {}
    line = ""
    for line in process.stdout:
        passed = time.perf_counter() - start
        result.setdefault("first_line", passed)
        if line.startswith(sign):
            result.setdefault("numbers", passed)
    process.stdout.close()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    result["seconds"] = time.perf_counter() - start
    result["processor"] = usage.ru_utime + usage.ru_stime
    if process.returncode or "numbers" not in result:
        raise ChildFailed(f"{checkout}: {line.strip()[:300]}")
    return result


def measure(
    baseline: pathlib.Path, config: str, steps: int, repeats: int
) -> dict[str, list[dict[str, float]]]:
    """Every run of a job: {"baseline", "cold", "warm"} -> runs in order of the rounds."""
    times: dict[str, list[dict[str, float]]] = {"baseline": [], "cold": [], "warm": []}
    with scratch_folder() as scratch:
        filled = scratch / "filled"
        run_timed(ROOT, _flags(config, steps, scratch / "first"), filled)
        for order in alternating(times, repeats):
            for variant in order:
                with tempfile.TemporaryDirectory(dir=scratch) as folder:
                    empty = pathlib.Path(folder) / "cache"
                    checkout = baseline if variant == "baseline" else ROOT
                    cache = filled if variant == "warm" else empty
                    flags = _flags(config, steps, pathlib.Path(folder) / "run")
                    times[variant].append(run_timed(checkout, flags, cache))
                load = os.getloadavg()[0]
                line = f"{config} {variant}: {_describe(times[variant][-1])}, load {load:.1f}"
                print(line, flush=True)
    return times


def _flags(config: str, steps: int, workdir: pathlib.Path) -> list[str]:
    return [
        f"--config=configs/{config}.py",
        f"--config.train.num_steps={steps}",
        f"--workdir={workdir}",
    ]


def _describe(run: dict[str, float]) -> str:
    return (
        f"{run['seconds']:.1f} s, numbers after {run['numbers']:.1f} s, first line after "
        f"{run['first_line']:.1f} s, {run['processor']:.1f} s of processors"
    )


def summarize(times: dict[str, list[dict[str, float]]]) -> dict[str, Any]:
    """Medians of each variant, and of its ratios to the baseline's run in the same round."""
    summary: dict[str, Any] = {}
    for variant, runs in times.items():
        summary[variant] = {name: statistics.median(r[name] for r in runs) for name in runs[0]}
        for name in ("seconds", "numbers", "processor"):
            ratios = [
                run[name] / base[name] for run, base in zip(runs, times["baseline"], strict=True)
            ]
            summary[variant][f"{name}_ratio"] = statistics.median(ratios)
    return summary


def main() -> None:
    """Measure, and print a line for each run and each variant."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--baseline", type=pathlib.Path, required=True, help="another checkout")
    parser.add_argument("--config", choices=tuple(JOBS), help="only this job")
    parser.add_argument("--steps", type=int, help="training steps instead of the job's own")
    parser.add_argument("--repeats", type=int, default=3, help="rounds")
    parser.add_argument("--json", type=pathlib.Path, help="file for all numbers")
    options = parser.parse_args()
    print(machine.sentence(machine.describe()))
    everything = {}
    with scratch_folder() as scratch:
        for name, checkout in (("baseline", options.baseline.resolve()), ("this checkout", ROOT)):
            runs = [
                run_timed(checkout, ["--help"], scratch, sign="Try --helpfull")["seconds"]
                for _ in range(3)
            ]
            print(f"--help, {name}: {statistics.median(runs):.2f} s")
    for config in [options.config] if options.config else JOBS:
        steps = options.steps or JOBS[config]
        times = measure(options.baseline.resolve(), config, steps, options.repeats)
        everything[config] = {"steps": steps, "runs": times, "summary": summarize(times)}
        for variant, medians in everything[config]["summary"].items():
            print(
                f"{config}, {steps} steps, {variant}: {_describe(medians)}; to the baseline "
                f"{medians['seconds_ratio']:.2f}, until the numbers {medians['numbers_ratio']:.2f}"
                f", of processors {medians['processor_ratio']:.2f}",
                flush=True,
            )
        if options.json:  # after each job, so that a benchmark that is ended leaves the others
            options.json.write_text(json.dumps(everything, indent=1))


if __name__ == "__main__":
    main()
