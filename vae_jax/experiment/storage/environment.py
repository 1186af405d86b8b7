"""What a run was made with: versions, hardware, and the command, for `results.json`."""

import importlib.metadata
import os
import platform
import shlex
import sys
from typing import Any

import jax

PACKAGES = ("vae_jax", "jax", "jaxlib", "flax", "optax", "numpy")


def environment() -> dict[str, Any]:
    """Versions of Python and of the packages that numbers depend on, the devices, and the processor with its cores.

    It asks JAX for its devices, and so begins to use them.
    """
    return {
        "versions": versions(),
        "platform": jax.default_backend(),
        "device": jax.devices()[0].device_kind,
        "num_devices": jax.device_count(),
        "num_processes": jax.process_count(),
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
    }


def versions() -> dict[str, str]:
    """The versions here and now, of Python and of the packages that are installed."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def command() -> str:
    """The command line of this process, as one would type it: `python -m` and the module, or the script.

    Of a script that was given by an absolute path, which tells of the machine, only the file name is kept.
    """
    spec = getattr(
        sys.modules.get("__main__"), "__spec__", None
    )  # None where it isn't a module that runs
    script = os.path.basename(sys.argv[0]) if os.path.isabs(sys.argv[0]) else sys.argv[0]
    program = (
        shlex.quote(script) if spec is None else f"python -m {spec.name.removesuffix('.__main__')}"
    )
    return f"{program} {shlex.join(sys.argv[1:])}".strip()


def _processor() -> str:
    """The name of the processor."""
    try:
        with open("/proc/cpuinfo") as file:
            names = [
                line.partition(":")[2].strip() for line in file if line.startswith("model name")
            ]
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()
