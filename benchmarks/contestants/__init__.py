"""Who competes: for each name its module, what must be installed for it, and how the table calls it.

A module has ``prepare(task, dtype, variant) -> build``. Imports and data are done when `prepare` returns; ``build()`` is timed
and returns a `Workload`. `Unavailable` says why a contestant can't take a task.
"""

import dataclasses
import importlib
import importlib.util
from collections.abc import Callable
from typing import Any, Protocol

INSTALL = "pip install -r benchmarks/requirements.txt"


class Unavailable(Exception):
    """A contestant that does not have this task; the message says why."""


class Workload(Protocol):
    """Work that is called over and over, warm or not."""

    units_per_call: float  # images, or floating-point operations
    info: dict[str, Any]  # what the report says about it: device, number of parameters

    def call(self) -> None:
        """Starts one unit of work; it may still be under way when this returns."""

    def wait(self) -> None:
        """Returns when all that was started is done."""

    def device_peak(self) -> int:
        """Most bytes held on an accelerator so far, 0 on the CPU."""


@dataclasses.dataclass(frozen=True)
class Contestant:
    """An entry of the table."""

    title: str
    module: str
    variant: str = ""
    needs: tuple[str, ...] = ()  # packages besides the project's own

    def missing(self) -> list[str]:
        """The needed packages that are not installed."""
        return [name for name in self.needs if importlib.util.find_spec(name) is None]

    def prepare(self, task: str, dtype: str) -> Callable[[], Workload]:
        """Imports what the contestant needs and makes its data; what it returns builds the rest."""
        return importlib.import_module(f"benchmarks.contestants.{self.module}").prepare(
            task, dtype, self.variant
        )


CONTESTANTS = {
    "vae_jax": Contestant("vae_jax", "ours"),
    "bare": Contestant("bare JAX, scan", "bare", "scan"),
    "bare_step": Contestant("bare JAX, step by step", "bare", "step"),
    "torch_eager": Contestant("PyTorch, eager", "torch_step", "eager", ("torch",)),
    "torch_compile": Contestant("PyTorch, torch.compile", "torch_step", "compile", ("torch",)),
    "pythae": Contestant("pythae", "pythae_step", needs=("torch", "pythae")),
}
PYTORCH = ("torch_eager", "torch_compile")  # the better of these is what ratios are taken to
MATMULS = {
    "xla": Contestant("XLA", "matmul", "xla"),
    "torch": Contestant("PyTorch", "matmul", "torch", ("torch",)),
}
