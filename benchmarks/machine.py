"""Hardware, versions and circumstances behind the numbers."""

import contextlib
import importlib.metadata
import os
import pathlib
import platform
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.children import ROOT

PACKAGES = ("jax", "jaxlib", "flax", "optax", "numpy", "torch", "pythae")
PLACES = {  # flags that name places of this machine, and what a record has instead
    "--out": [],
    "--baseline": ["--baseline=DIR"],
    "--data_dir": ["--data_dir=DIR"],
}
UNKNOWN = "not recorded"


def cpu_name() -> str:
    """The processor's name, if the system reports one."""
    info = pathlib.Path("/proc/cpuinfo")
    for line in info.read_text().splitlines() if info.exists() else []:
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def gpu_name() -> str:
    """The names of the GPUs from nvidia-smi; empty if there are none."""
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        command = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
        return ", ".join(
            subprocess.run(
                command, capture_output=True, text=True, check=True, timeout=30
            ).stdout.split("\n")[:-1]
        )
    return ""


def versions() -> dict[str, str]:
    """Versions of Python and of the installed packages."""
    result = {"python": platform.python_version()}
    for name in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            result[name] = importlib.metadata.version(name)
    return result


def describe() -> dict[str, Any]:
    """Processor, available cores, GPU, load (of other processes), and versions."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "cpu": cpu_name(),
        "cores": cores,
        "gpu": gpu_name(),
        "load": os.getloadavg()[0],
        "versions": versions(),
    }


def provenance(argv: Sequence[str]) -> dict[str, Any]:
    """The beginning of a record: command of the program with these flags, date, commit, machine.

    A record is what a measurement writes with ``--out``, see `benchmarks.speed_pages`.
    """
    program = sys.modules["__main__"].__spec__
    return {
        "command": command(program.name if program else "benchmarks", argv),
        "started": time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime()),
        **git_state(),
        "machine": describe(),
    }


def command(program: str, argv: Sequence[str]) -> str:
    """The command line without the places of this machine.

    >>> command("benchmarks.startup", ["--out", "/a/b.json", "--steps=5", "--baseline=/c"])
    'python -m benchmarks.startup --steps=5 --baseline=DIR'
    """
    flags, words = [], iter(argv)
    for word in words:
        name, equals, _ = word.partition("=")
        if name in PLACES and not equals:
            next(words, None)
        flags += PLACES.get(name, [word])
    return f"python -m {program} {shlex.join(flags)}".strip()


def git_state() -> dict[str, Any]:
    """The commit of this checkout, and True if tracked files have changed since; None if unknown.

    The function of that name in the package imports JAX, which a driver does not.
    """
    line = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    match = None
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        process = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=10)
        match = re.fullmatch(r"([0-9a-f]{40,64})(-dirty)?", process.stdout.strip())
    return {
        "commit": match[1] if match else None,
        "changed_since_commit": bool(match[2]) if match else None,
    }


def short_commit(record: Mapping[str, Any]) -> str:
    """The first digits of the commit of a record, and a mark if files had changed since."""
    if not record["commit"]:
        return UNKNOWN
    return record["commit"][:10] + (" (changed)" if record["changed_since_commit"] else "")


def check_out(path: pathlib.Path | None) -> None:
    """Ends the program if the file for the numbers exists, or its folder does not."""
    if path is not None and path.exists():
        raise SystemExit(f"--out = '{path}': exists; use another name, or delete it first")
    if path is not None and not path.parent.is_dir():
        raise SystemExit(f"--out = '{path}': its folder does not exist")


def format_cores(number: int) -> str:
    """Format a number of cores.

    >>> format_cores(1), format_cores(2)
    ('1 core', '2 cores')
    """
    return f"{number} core" if number == 1 else f"{number} cores"


def hardware(machine: Mapping[str, Any]) -> str:
    """The GPU, or else the processor and its cores.

    >>> hardware({"gpu": "", "cores": 2, "cpu": "AMD EPYC"})
    '2 cores, AMD EPYC'
    """
    if machine["gpu"]:
        return machine["gpu"]
    cores = format_cores(machine["cores"]) if machine["cores"] else ""
    return ", ".join(filter(None, (cores, machine["cpu"]))) or UNKNOWN


def sentence(machine: Mapping[str, Any]) -> str:
    """The description in one line."""
    parts = [machine["cpu"], machine["cores"] and format_cores(machine["cores"]), machine["gpu"]]
    packages = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    load = UNKNOWN if machine["load"] is None else f"{machine['load']:.2f}"
    return (
        f"{', '.join(filter(None, parts)) or f'machine {UNKNOWN}'}; "
        f"{packages or f'versions {UNKNOWN}'}; load at the start {load}"
    )
