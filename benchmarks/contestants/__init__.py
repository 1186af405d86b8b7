"""The contestants by name: their modules, required packages, and titles in the table.

A module has ``prepare(task, dtype, variant) -> build``. Imports and data are complete when
`prepare` returns. ``build()`` is timed and returns a `Workload`. `Unavailable` says why a
contestant does not support a task.
"""

import dataclasses
import importlib
import importlib.util
from collections.abc import Callable
from typing import Any, Protocol

INSTALL = "pip install -r benchmarks/requirements.txt"


class Unavailable(Exception):
    """A contestant does not support a task; the message says why."""


class Workload(Protocol):
    """Work that is called repeatedly."""

    units_per_call: float  # images, or floating-point operations
    info: dict[str, Any]  # for the report: device, number of parameters

    def call(self) -> None:
        """Start one unit of work; may return before it is complete."""

    def wait(self) -> None:
        """Wait until all work is complete."""

    def device_peak(self) -> int:
        """Peak bytes on an accelerator so far, 0 on the CPU."""


@dataclasses.dataclass(frozen=True)
class Contestant:
    """An entry of the table."""

    title: str
    module: str
    variant: str = ""
    needs: tuple[str, ...] = ()  # packages besides the project's own

    def missing(self) -> list[str]:
        """Required packages that are not installed."""
        return [name for name in self.needs if importlib.util.find_spec(name) is None]

    def prepare(self, task: str, dtype: str) -> Callable[[], Workload]:
        """Import the contestant and make its data; returns a function that builds its workload."""
        return importlib.import_module(f"benchmarks.contestants.{self.module}").prepare(
            task, dtype, self.variant
        )


def skip_reason(missing: list[str]) -> str:
    """Explain which packages are missing, and how to install them."""
    return f"{' and '.join(missing)} not installed; use {INSTALL}"


CONTESTANTS = {
    "vae_jax": Contestant("vae_jax", "ours"),
    "bare": Contestant("bare JAX, scan", "bare", "scan"),
    "bare_step": Contestant("bare JAX, step by step", "bare", "step"),
    "torch_eager": Contestant("PyTorch, eager", "torch_step", "eager", ("torch",)),
    "torch_compile": Contestant("PyTorch, torch.compile", "torch_step", "compile", ("torch",)),
    "pythae": Contestant("pythae", "pythae_step", needs=("torch", "pythae")),
}
PYTORCH = ("torch_eager", "torch_compile")  # ratios are relative to the faster one
MATMULS = {
    "xla": Contestant("XLA", "matmul", "xla"),
    "torch": Contestant("PyTorch", "matmul", "torch", ("torch",)),
}
