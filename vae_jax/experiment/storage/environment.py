"""Versions, hardware and command line of a run, for `results.json`."""

import functools
import importlib.metadata
import os
import platform
import re
import shlex
import subprocess
import sys
from typing import Any

import jax

from vae_jax.data.fixed_random import GENERATOR

GIT_SECONDS = 1.0  # timeout, after which the state of the repository is omitted
PACKAGES = ("vae_jax", "jax", "jaxlib", "flax", "optax", "numpy")


def environment() -> dict[str, Any]:
    """Return versions, devices, processor and settings of JAX; this makes JAX start its backend."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "versions": versions(),
        "platform": jax.default_backend(),
        "device": jax.devices()[0].device_kind,
        "num_devices": jax.device_count(),
        "num_processes": jax.process_count(),
        "processor": _processor(),
        "cores": cores,
        "generator": GENERATOR,
        "default_matmul_precision": jax.config.jax_default_matmul_precision or "default",
        "system": f"{platform.system()} {platform.machine()}",
        **git_state(os.getcwd()),
    }


@functools.cache  # frozen at the first call, when the code is loaded
def git_state(folder: str) -> dict[str, Any]:
    """Return "git_commit" and "git_dirty" of the repository that a folder belongs to.

    Returns {} without Git, a repository or a commit, and if Git takes longer than `GIT_SECONDS`.
    `git_dirty` is True if tracked files have changed since.
    """
    command_line = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        output = subprocess.run(
            command_line,
            cwd=folder,
            env=os.environ | {"GIT_OPTIONAL_LOCKS": "0"},
            capture_output=True,
            text=True,
            timeout=GIT_SECONDS,
            check=True,
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return {}
    match = re.fullmatch(r"([0-9a-f]{40,64})(-dirty)?", output.strip())
    return {"git_commit": match[1], "git_dirty": bool(match[2])} if match else {}


def versions() -> dict[str, str]:
    """Return the versions of Python and of the installed packages that numbers depend on."""
    packages = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            packages[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return packages


def command_line() -> str:
    """Return the command line of this process as one would type it.

    A script given by an absolute path, which reveals the machine, keeps only its file name.
    """
    spec = getattr(sys.modules.get("__main__"), "__spec__", None)  # None for a script
    if spec is None:
        script = sys.argv[0]
        program = shlex.quote(os.path.basename(script) if os.path.isabs(script) else script)
    else:
        program = f"python -m {spec.name.removesuffix('.__main__')}"
    return f"{program} {shlex.join(sys.argv[1:])}".strip()


def _processor() -> str:
    """Return the name of the processor."""
    try:
        with open("/proc/cpuinfo") as file:
            for line in file:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass  # not Linux
    return platform.processor() or platform.machine()
