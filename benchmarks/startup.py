"""Seconds of a short run from the command line, alone or against those of another checkout.

python -m benchmarks.startup [--baseline=../older] [--config=vae --steps=200] [--out=F]

Without `--config`, both jobs are measured: `vae` with 200 steps and `beta_vae:burgess` with 50. A
round has up to three runs, in alternating order: the baseline as its command line is, with an empty
cache folder; this checkout with an empty cache folder ("cold"); and this checkout with the folder
that an earlier run has filled ("warm"). Ratios are medians over the rounds of the ratio within a
round, so that other work on the machine counts for both. Printed besides: seconds until the numbers
are printed, until the first line, and of `--help`; processor seconds, which vary less; and the
load. A job of three rounds takes about ten runs: two to three minutes on an idle machine.
"""

import argparse
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

JOBS = {"vae": 200, "beta_vae:burgess": 50}  # config and its number of steps
FORMER = {"beta_vae:burgess": "beta_vae"}  # what a config was named before it became a variant
NUMBERS = "test ELBO"  # in the first line of the results


def environment(checkout: pathlib.Path, cache: pathlib.Path) -> dict[str, str]:
    """Environment variables of a run of a checkout with this cache folder."""
    names = (
        "JAX_COMPILATION_CACHE",
        "JAX_PERSISTENT_CACHE",
        "JAX_ENABLE_COMPILATION_CACHE",
        "PYTHONDONTWRITEBYTECODE",  # would translate the package again in every run
    )
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
    baseline: pathlib.Path | None, config: str, steps: int, repeats: int
) -> dict[str, list[dict[str, float]]]:
    """Every run of a job: {"baseline", "cold", "warm"} -> runs in order of the rounds."""
    times: dict[str, list[dict[str, float]]] = {"baseline": []} if baseline else {}
    times |= {"cold": [], "warm": []}
    with scratch_folder() as scratch:
        filled = scratch / "filled"
        run_timed(ROOT, _flags(ROOT, config, steps, scratch / "first"), filled)
        for order in alternating(times, repeats):
            for variant in order:
                with tempfile.TemporaryDirectory(dir=scratch) as folder:
                    empty = pathlib.Path(folder) / "cache"
                    checkout = baseline if variant == "baseline" else ROOT
                    cache = filled if variant == "warm" else empty
                    flags = _flags(checkout, config, steps, pathlib.Path(folder) / "run")
                    times[variant].append(run_timed(checkout, flags, cache))
                load = os.getloadavg()[0]
                line = f"{config} {variant}: {_describe(times[variant][-1])}, load {load:.1f}"
                print(line, flush=True)
    return times


def name_in(checkout: pathlib.Path, config: str) -> str:
    """The config as --config of that checkout, where a variant may still have its former name."""
    stem, _, variant = config.partition(":")
    path = f"configs/{stem}.py"
    if config in FORMER and f":{variant}" not in (checkout / path).read_text(encoding="utf-8"):
        return f"configs/{FORMER[config]}.py"
    return f"{path}:{variant}" if variant else path


def _flags(checkout: pathlib.Path, config: str, steps: int, workdir: pathlib.Path) -> list[str]:
    return [
        f"--config={name_in(checkout, config)}",
        f"--config.train.num_steps={steps}",
        f"--workdir={workdir}",
    ]


def _describe(run: dict[str, float]) -> str:
    return (
        f"{run['seconds']:.1f} s, numbers after {run['numbers']:.1f} s, first line after "
        f"{run['first_line']:.1f} s, {run['processor']:.1f} s of processors"
    )


def summarize(times: dict[str, list[dict[str, float]]]) -> dict[str, Any]:
    """Medians of each variant, and of its ratios to a baseline's run in the same round."""
    summary: dict[str, Any] = {}
    for variant, runs in times.items():
        summary[variant] = {name: statistics.median(r[name] for r in runs) for name in runs[0]}
        for name in ("seconds", "numbers", "processor") if "baseline" in times else ():
            ratios = [
                run[name] / base[name] for run, base in zip(runs, times["baseline"], strict=True)
            ]
            summary[variant][f"{name}_ratio"] = statistics.median(ratios)
    return summary


def measure_help(checkouts: dict[str, pathlib.Path]) -> dict[str, float]:
    """The median of three runs of --help in each checkout."""
    medians = {}
    with scratch_folder() as scratch:
        for name, checkout in checkouts.items():
            runs = [run_timed(checkout, ["--help"], scratch, "Try --helpfull") for _ in range(3)]
            medians[name] = statistics.median(run["seconds"] for run in runs)
            print(f"--help, {name}: {medians[name]:.2f} s", flush=True)
    return medians


def print_summary(title: str, summary: dict[str, Any]) -> None:
    """A line for each variant."""
    for variant, medians in summary.items():
        line = f"{title}, {variant}: {_describe(medians)}"
        if "seconds_ratio" in medians:
            line += (
                f"; to the baseline {medians['seconds_ratio']:.2f}, until the numbers "
                f"{medians['numbers_ratio']:.2f}, of processors {medians['processor_ratio']:.2f}"
            )
        print(line, flush=True)


def main() -> None:
    """Measure, and print a line for each run and each variant."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--baseline", type=pathlib.Path, help="another checkout")
    parser.add_argument("--config", choices=tuple(JOBS), help="only this job")
    parser.add_argument("--steps", type=int, help="training steps instead of the job's own")
    parser.add_argument("--repeats", type=int, default=3, help="rounds")
    parser.add_argument("--out", type=pathlib.Path, help="new JSON file for all numbers")
    options = parser.parse_args()
    machine.check_out(options.out)
    record = machine.provenance(sys.argv[1:]) | {"rounds": options.repeats, "startup": {}}
    print(machine.sentence(record["machine"]))
    baseline = options.baseline and options.baseline.resolve()
    checkouts = {"baseline": baseline} if baseline else {}
    record["help"] = measure_help(checkouts | {"this checkout": ROOT})
    for config in [options.config] if options.config else JOBS:
        steps = options.steps or JOBS[config]
        times = measure(baseline, config, steps, options.repeats)
        summary = summarize(times)
        record["startup"][config] = {"steps": steps, "runs": times, "summary": summary}
        print_summary(f"{config}, {steps} steps", summary)
        if options.out:  # after each job, so that an interrupted benchmark keeps the earlier ones
            # Imports JAX, which the driver must not do while runs are timed.
            from vae_jax.files import write_json

            write_json(options.out, record)


if __name__ == "__main__":
    main()
