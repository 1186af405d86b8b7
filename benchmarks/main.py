"""Measures training speed side by side, in one run on one machine; see `benchmarks.tasks` for what is measured.

python -m benchmarks.main                                   # training steps: minutes, compilation included
python -m benchmarks.main --tasks=mlp128 --rounds=3 --seconds=1
python -m benchmarks.main --parts=process                   # whole runs, from the command to its end
python -m benchmarks.main --parts=peak,train,process,sweep --out=benchmarks.json

Every contestant has a process of its own, started once. In each round each of them works for about `seconds` while the
others idle; the order is reversed from round to round, and what is reported is the median.
"""

import contextlib
import functools
import pathlib
import sys
from collections.abc import Sequence
from typing import Any

from absl import app, flags

from benchmarks import machine, process, report, rounds
from benchmarks.children import Child, ChildFailed
from benchmarks.contestants import CONTESTANTS, INSTALL, MATMULS, Contestant
from benchmarks.tasks import TASKS

PARTS = ("peak", "train", "process", "sweep")
SIZES, GPU_SIZES = (1024, 2048), (4096, 8192)  # of the matrices of the matmul peak

_PARTS = flags.DEFINE_list(
    "parts",
    ["peak", "train"],
    f"What to measure, of {PARTS}; `process` and `sweep` are whole runs.",
)
_TASKS = flags.DEFINE_list("tasks", list(TASKS), "Which models.")
_CONTESTANTS = flags.DEFINE_list("contestants", list(CONTESTANTS), "Who competes.")
_ROUNDS = flags.DEFINE_integer("rounds", 9, "Rounds of each task.", lower_bound=1)
_SECONDS = flags.DEFINE_float(
    "seconds", 3.0, "Length of a contestant's part of a round.", lower_bound=0.0
)
_REPEATS = flags.DEFINE_integer("repeats", 3, "Repeats of each whole run.", lower_bound=1)
_STEPS = flags.DEFINE_integer("steps", 2_000, "Training steps of each whole run.", lower_bound=1)
_DTYPE = flags.DEFINE_enum(
    "dtype", "float32", ["float32", "bfloat16"], "Of the networks' arithmetic."
)
_OUT = flags.DEFINE_string("out", "", "Where the numbers go as JSON.")


def compete(
    kind: str, who: dict[str, Contestant], task: str, dtype: str, seconds: float, num: int
) -> dict[str, Any]:
    """Rounds between those contestants on one task; contestant -> numbers. Who can't start is left out with a line."""
    with contextlib.ExitStack() as stack:
        children = {}
        for name, contestant in who.items():
            if missing := contestant.missing():
                say(
                    f"{task}: {contestant.title} is left out, {' and '.join(missing)} not installed; {INSTALL}"
                )
                continue
            try:
                children[name] = child = stack.enter_context(Child(kind, name, task, dtype))
                say(
                    f"{task}: {contestant.title} is warm, {child.start['compile_s']:.1f} s of compilation"
                )
            except ChildFailed as reason:
                say(f"{task}: {contestant.title} is left out, {reason}")
        runners = {
            name: functools.partial(child.round, seconds) for name, child in children.items()
        }
        try:
            measured = rounds.measure(runners, num)
        except ChildFailed as reason:
            raise SystemExit(f"error: {task}: {reason}") from reason
        return {name: children[name].start | rounds.summary(measured[name]) for name in children}


def measure_peak(
    sizes: Sequence[int], dtype: str, seconds: float, num: int
) -> dict[str, dict[str, Any]]:
    """Library -> its rate at its best size, in operations per second."""
    peaks: dict[str, dict[str, Any]] = {}
    for size in sizes:
        for name, result in compete("matmul", MATMULS, str(size), dtype, seconds, num).items():
            if name not in peaks or result["rate"] > peaks[name]["rate"]:
                peaks[name] = result | {"size": size, "title": MATMULS[name].title}
    return peaks


def measure_training(peak: float | None) -> dict[str, dict[str, Any]]:
    """Task -> contestant -> numbers, for the tasks and contestants of the flags."""
    who = {name: CONTESTANTS[name] for name in _CONTESTANTS.value}
    results = {}
    for name in _TASKS.value:
        numbers = compete("train", who, name, _DTYPE.value, _SECONDS.value, _ROUNDS.value)
        results[name] = report.with_ratios(numbers, TASKS[name].training_flops, peak)
        for contestant, r in numbers.items():
            if r["idle"] > 0.05:
                say(
                    f"{name}: {CONTESTANTS[contestant].title} used {r['idle']:.0%} of a core while others were timed"
                )
    return results


def say(line: str) -> None:
    """Progress, on stderr: stdout is for the tables."""
    print(line, file=sys.stderr, flush=True)


def main(argv: Sequence[str]) -> None:
    """Measures the parts asked for, prints the tables, writes the JSON."""
    if len(argv) > 1:
        raise app.UsageError(f"unexpected argument {argv[1]!r}")
    for flag, known in ((_PARTS, PARTS), (_TASKS, TASKS), (_CONTESTANTS, CONTESTANTS)):
        if unknown := [value for value in flag.value if value not in known]:
            raise app.UsageError(
                f"--{flag.name}: there is no {unknown[0]!r}, only {', '.join(known)}"
            )
    parts, results = _PARTS.value, {"machine": machine.describe(), "dtype": _DTYPE.value}
    print(machine.sentence(results["machine"]), "\n", sep="", flush=True)
    if results["machine"]["load"] > 0.5:
        say(
            "others are at work on this machine: numbers mean little, and PyTorch's, whose threads wait for each other, least"
        )
    if "peak" in parts:
        sizes = SIZES + GPU_SIZES if results["machine"]["gpu"] else SIZES
        results["peak"] = measure_peak(
            sizes, _DTYPE.value, _SECONDS.value / len(sizes), _ROUNDS.value
        )
        print(report.peak_sentence(results["peak"], _DTYPE.value), "\n", sep="", flush=True)
    if "train" in parts:
        peak = results.get("peak", {}).get("xla", {}).get("rate")
        results["train"] = measure_training(peak)
        print(
            report.table(report.HEADER, report.train_rows(results["train"])),
            "\n",
            sep="",
            flush=True,
        )
    jobs = [job for part, job in (("process", "beta_vae"), ("sweep", "sweep")) if part in parts]
    if jobs:
        results["process"] = {
            job: process.measure_job(job, _STEPS.value, _REPEATS.value, say) for job in jobs
        }
        print(
            report.table(report.PROCESS_HEADER, report.process_rows(results["process"])), flush=True
        )
    if _OUT.value:
        from vae_jax.experiment.storage.metric_writer import (
            write_json,  # brings in JAX, which the driver can do without while others are timed
        )

        write_json(pathlib.Path(_OUT.value), results)


if __name__ == "__main__":
    app.run(main)
