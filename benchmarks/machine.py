"""What the numbers were taken on."""

import contextlib
import importlib.metadata
import os
import pathlib
import platform
import subprocess
from typing import Any

PACKAGES = ("jax", "jaxlib", "flax", "optax", "numpy", "torch", "pythae")


def cpu_name() -> str:
    """The processor's name, as far as the system tells."""
    info = pathlib.Path("/proc/cpuinfo")
    for line in info.read_text().splitlines() if info.exists() else []:
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def gpu_name() -> str:
    """The names of the GPUs by nvidia-smi, empty where there is none."""
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        command = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
        return ", ".join(
            subprocess.run(
                command, capture_output=True, text=True, check=True, timeout=30
            ).stdout.split("\n")[:-1]
        )
    return ""


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that are installed."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def describe() -> dict[str, Any]:
    """Processor, cores that this process may use, GPU, load (processes that were running already), versions."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "cpu": cpu_name(),
        "cores": cores,
        "gpu": gpu_name(),
        "load": os.getloadavg()[0],
        "versions": versions(),
    }


def sentence(machine: dict[str, Any]) -> str:
    """The same in one line."""
    hardware = f"{machine['cpu']}, {machine['cores']} cores" + (
        f", {machine['gpu']}" if machine["gpu"] else ""
    )
    packages = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    return f"{hardware}; {packages}; load at the start {machine['load']:.2f}"
