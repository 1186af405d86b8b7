"""Measure training speed side by side, in one run on one machine. Tasks: `benchmarks.tasks`.

python -m benchmarks.main                                   # training steps; takes minutes
python -m benchmarks.main --tasks=mlp128 --rounds=3 --seconds=1
python -m benchmarks.main --parts=process                   # whole runs, from start to exit
python -m benchmarks.main --parts=peak,train,process,sweep,sweep_784 --out=new.json

Each contestant has its own process, started once. In each round, one contestant after the other
works for about `seconds` while the remaining ones idle. Every other round reverses the order. The
table has medians over rounds.
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
from benchmarks.contestants import CONTESTANTS, MATMULS, Contestant, skip_reason
from benchmarks.tasks import TASKS

WHOLE_RUNS = {"process": "beta_vae", "sweep": "sweep", "sweep_784": "sweep_784"}  # part: job
PARTS = ("peak", "train", *WHOLE_RUNS)
SIZES, GPU_SIZES = (1024, 2048), (4096, 8192)  # of the matrices of the matmul peak

_PARTS = flags.DEFINE_list(
    "parts",
    ["peak", "train"],
    f"Parts to measure, from {PARTS}; {', '.join(WHOLE_RUNS)} are whole runs.",
)
_TASKS = flags.DEFINE_list("tasks", list(TASKS), "Tasks to measure.")
_CONTESTANTS = flags.DEFINE_list("contestants", list(CONTESTANTS), "Contestants.")
_ROUNDS = flags.DEFINE_integer("rounds", 9, "Rounds of each task.", lower_bound=1)
_SECONDS = flags.DEFINE_float(
    "seconds", 3.0, "Length of a contestant's turn in a round.", lower_bound=0.0
)
_REPEATS = flags.DEFINE_integer("repeats", 3, "Repeats of each whole run.", lower_bound=1)
_STEPS = flags.DEFINE_integer("steps", 2_000, "Training steps of each whole run.", lower_bound=1)
_DTYPE = flags.DEFINE_enum(
    "dtype", "float32", ["float32", "bfloat16"], "Type of the networks' arithmetic."
)
_OUT = flags.DEFINE_string(
    "out", "", "New JSON file for the numbers, such as one of those of `benchmarks.speed_pages`."
)


def compete(
    kind: str, who: dict[str, Contestant], task: str, dtype: str, seconds: float, num: int
) -> dict[str, Any]:
    """{contestant: numbers} of the rounds on one task, without contestants that can't start."""
    with contextlib.ExitStack() as stack:
        children = {}
        for name, contestant in who.items():
            if missing := contestant.missing():
                say(f"{task}: skipped {contestant.title}, {skip_reason(missing)}")
                continue
            try:
                children[name] = child = stack.enter_context(Child(kind, name, task, dtype))
                say(f"{task}: {contestant.title} compiled in {child.start['compile_s']:.1f} s")
            except ChildFailed as reason:
                say(f"{task}: skipped {contestant.title}, {reason}")
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
    """{library: its rate at its best size, in operations per second}."""
    peaks: dict[str, dict[str, Any]] = {}
    for size in sizes:
        for name, result in compete("matmul", MATMULS, str(size), dtype, seconds, num).items():
            if name not in peaks or result["rate"] > peaks[name]["rate"]:
                peaks[name] = result | {"size": size, "title": MATMULS[name].title}
    return peaks


def measure_training(peak: float | None) -> dict[str, dict[str, Any]]:
    """{task: {contestant: numbers}} for the tasks and contestants of the flags."""
    who = {name: CONTESTANTS[name] for name in _CONTESTANTS.value}
    results = {}
    for name in _TASKS.value:
        numbers = compete("train", who, name, _DTYPE.value, _SECONDS.value, _ROUNDS.value)
        results[name] = report.with_ratios(numbers, TASKS[name].training_flops, peak)
        for contestant, r in numbers.items():
            if r["idle"] > 0.05:
                title = CONTESTANTS[contestant].title
                say(f"{name}: {title} used {r['idle']:.0%} of a core while others were timed")
    return results


def say(line: str) -> None:
    """Report progress on stderr; stdout is for the tables."""
    print(line, file=sys.stderr, flush=True)


def main(argv: Sequence[str]) -> None:
    """Measure the selected parts, print the tables and write the JSON file."""
    if len(argv) > 1:
        raise app.UsageError(f"unexpected argument {argv[1]!r}")
    for flag, known in ((_PARTS, PARTS), (_TASKS, TASKS), (_CONTESTANTS, CONTESTANTS)):
        if unknown := [value for value in flag.value if value not in known]:
            raise app.UsageError(
                f"--{flag.name}: unknown {unknown[0]!r}; use one of {', '.join(known)}"
            )
    out = pathlib.Path(_OUT.value) if _OUT.value else None
    machine.check_out(out)
    parts, results = _PARTS.value, machine.provenance(sys.argv[1:])
    results |= {"dtype": _DTYPE.value, "rounds": _ROUNDS.value}
    print(machine.sentence(results["machine"]), "\n", sep="", flush=True)
    if results["machine"]["load"] > 0.5:
        say("warning: the machine is under load; the numbers, PyTorch's above all, are unreliable")
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
    jobs = [job for part, job in WHOLE_RUNS.items() if part in parts]
    if jobs:
        results["steps"] = _STEPS.value
        results["process"] = {
            job: process.measure_job(job, _STEPS.value, _REPEATS.value, say) for job in jobs
        }
        print(
            report.table(report.PROCESS_HEADER, report.process_rows(results["process"])), flush=True
        )
    if out:
        # Imports JAX, which the driver must not do while contestants are timed.
        from vae_jax.files import write_json

        write_json(out, results)


if __name__ == "__main__":
    app.run(main)
