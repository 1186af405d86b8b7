"""The driver's end of the line protocol: one process per contestant, idle between its rounds."""

import contextlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Self

ROOT = pathlib.Path(__file__).resolve().parents[1]


class ChildFailed(Exception):
    """A contestant that could not start or died; the message is the reason or its last line."""


def clean_environment(scratch: pathlib.Path) -> dict[str, str]:
    """Environment variables of all timed processes.

    Compilers start cold: JAX and torch.compile reuse no cache of an earlier run. On a GPU, JAX
    allocates memory on demand, since the contestants share the device.
    """
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("JAX_COMPILATION_CACHE")
    }
    environment |= {
        "XDG_CACHE_HOME": str(scratch / "cache"),  # of our command line
        "TORCHINDUCTOR_CACHE_DIR": str(scratch / "inductor"),
        "TRITON_CACHE_DIR": str(scratch / "triton"),
    }
    environment |= {"XLA_PYTHON_CLIENT_PREALLOCATE": "false", "TF_CPP_MIN_LOG_LEVEL": "2"}
    return environment


class Child:
    """A contestant's process, warm when the constructor returns; `start` has its start-up costs."""

    def __init__(self, kind: str, name: str, task: str, dtype: str) -> None:
        self._scratch = tempfile.TemporaryDirectory(prefix="benchmark_", ignore_cleanup_errors=True)
        scratch = pathlib.Path(self._scratch.name)
        self._errors = scratch / "stderr"
        with open(self._errors, "w") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "benchmarks.contestant", kind, name, task, dtype],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                cwd=ROOT,
                env=clean_environment(scratch),
            )
        try:
            self.start = self._reply()
            if "unavailable" in self.start:
                raise ChildFailed(self.start["unavailable"])
        except BaseException:
            self.close()
            raise

    def _reply(self) -> dict[str, Any]:
        line = self._process.stdout.readline()
        if not line:
            self._process.wait()
            words = self._errors.read_text(errors="replace").strip().splitlines() or [
                "it ended without output"
            ]
            raise ChildFailed(words[-1][:300])
        return json.loads(line)

    def round(self, seconds: float) -> dict[str, float]:
        """Work for about `seconds`."""
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(f"{seconds}\n")
            self._process.stdin.flush()
        return self._reply()

    def close(self) -> None:
        """End the process."""
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._scratch.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


@contextlib.contextmanager
def scratch_folder() -> Iterator[pathlib.Path]:
    """A temporary folder."""
    with tempfile.TemporaryDirectory(prefix="benchmark_", ignore_cleanup_errors=True) as folder:
        yield pathlib.Path(folder)
