"""Hardware and versions behind the numbers."""

import contextlib
import importlib.metadata
import os
import pathlib
import platform
import subprocess
from typing import Any

PACKAGES = ("jax", "jaxlib", "flax", "optax", "numpy", "torch", "pythae")


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


def sentence(machine: dict[str, Any]) -> str:
    """The description in one line."""
    hardware = f"{machine['cpu']}, {machine['cores']} cores" + (
        f", {machine['gpu']}" if machine["gpu"] else ""
    )
    packages = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    return f"{hardware}; {packages}; load at the start {machine['load']:.2f}"
