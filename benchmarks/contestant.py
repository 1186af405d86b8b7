"""One contestant in its own process, driven line by line.

python -m benchmarks.contestant KIND NAME TASK DTYPE

Each line on stdin is a number of seconds. The contestant works for about that long and answers
with a line of JSON. Its `idle` is the share of a core used while waiting (spinning threads would
slow the other contestants). The process ends with stdin. Its first line has the start-up costs:
``setup_s`` (parameters, optimizer), ``compile_s`` (the first call minus a later one) and
``first_step_s`` (both and one step, without imports and data).
"""

import json
import os
import pathlib
import resource
import statistics
import sys
import time
from collections.abc import Callable
from typing import TextIO

from benchmarks.contestants import CONTESTANTS, MATMULS, Unavailable, Workload

WARM_CALLS = (
    20  # limit of warm-up calls after the first one; CUDA graphs are recorded in the next two
)
WARM_SECONDS = 2.0  # limit of their time
SHORT = 0.1  # seconds of waiting that are too few to measure the load


def timed(work: Workload, calls: int) -> float:
    """Seconds from the start of the first call to the end of the last one."""
    start = time.perf_counter()
    for _ in range(calls):
        work.call()
    work.wait()
    return time.perf_counter() - start


def peak_memory_mb() -> float:
    """Peak resident memory of this process so far, in 10^6 bytes."""
    status = pathlib.Path("/proc/self/status")  # ru_maxrss would include memory of the parent
    for line in status.read_text().splitlines() if status.exists() else []:
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024 / 1e6
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def start(build: Callable[[], Workload]) -> tuple[Workload, dict[str, float], float]:
    """The warm workload, its start-up costs, and the seconds of a later call."""
    begin = time.perf_counter()
    work = build()
    setup = time.perf_counter() - begin
    first = timed(work, 1)
    calls = [timed(work, 1)]
    while len(calls) < WARM_CALLS and sum(calls) < WARM_SECONDS:
        calls.append(timed(work, 1))
    later = statistics.median(calls)
    compile_s, step = max(first - later, 0.0), later / work.info.get("steps_per_call", 1)
    return (
        work,
        {"setup_s": setup, "compile_s": compile_s, "first_step_s": setup + compile_s + step},
        later,
    )


def serve(build: Callable[[], Workload], commands: TextIO, replies: TextIO) -> None:
    """Start the workload and answer commands until they end."""

    def reply(**values: float | str) -> None:
        print(json.dumps(values), file=replies, flush=True)

    work, costs, per_call = start(build)
    reply(**costs, **work.info)
    idle_wall, idle_cpu = time.perf_counter(), time.process_time()
    for line in commands:
        waited = time.perf_counter() - idle_wall
        idle = (time.process_time() - idle_cpu) / waited if waited > SHORT else 0.0
        calls = max(1, round(float(line) / per_call))
        seconds = timed(work, calls)
        per_call = seconds / calls
        memory = peak_memory_mb(), work.device_peak() / 1e6
        reply(
            units=calls * work.units_per_call,
            seconds=seconds,
            memory_mb=memory[0],
            device_memory_mb=memory[1],
            idle=idle,
        )
        idle_wall, idle_cpu = time.perf_counter(), time.process_time()


def main(kind: str, name: str, task: str, dtype: str) -> None:
    """Serve a contestant: replies on stdout, anything libraries print on stderr."""
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    try:
        build = {"train": CONTESTANTS, "matmul": MATMULS}[kind][name].prepare(task, dtype)
    except Unavailable as reason:
        print(json.dumps({"unavailable": str(reason)}), file=replies, flush=True)
        return
    serve(build, sys.stdin, replies)


if __name__ == "__main__":
    main(*sys.argv[1:])
