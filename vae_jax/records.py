"""What a run writes down: `config.json`, `metrics.jsonl`, `results.json`, TensorBoard events."""

import json
import logging
import math
import os
import pathlib
from collections.abc import Mapping
from typing import Any

from tensorboardX import SummaryWriter

logger = logging.getLogger(__name__)


def write_atomically(path: pathlib.Path, content: bytes) -> None:
    """The whole content under `path`, or what was there before."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_json(path: pathlib.Path, values: Mapping[str, Any]) -> None:
    """Strict JSON, indented; numbers that are not finite become null."""
    write_atomically(path, (json.dumps(_finite(values), indent=2, allow_nan=False) + "\n").encode())


def read_metrics(workdir: pathlib.Path) -> list[dict[str, Any]]:
    """The lines of `metrics.jsonl`; one that can't be read, as a last one cut short by a kill, is left out with a warning."""
    path = workdir / "metrics.jsonl"
    lines = []
    for number, text in enumerate(path.read_text(errors="replace").split("\n") if path.exists() else [], start=1):
        try:
            line = json.loads(text or "null")
        except json.JSONDecodeError:
            line = text
        if isinstance(line, dict) and {"step", "split"} <= line.keys():
            lines.append(line)
        elif text:
            logger.warning("%s, line %d: cannot be read, left out", path, number)
    return lines


class MetricsWriter:
    """Appends to `metrics.jsonl`, an object a line with `step`, `split` and scalars, and to TensorBoard's events."""

    def __init__(self, workdir: pathlib.Path, *, start_step: int = 0) -> None:
        """Goes on from `start_step`: lines of later steps, which a killed run wrote after its checkpoint, are dropped."""
        kept = [line for line in read_metrics(workdir) if line["step"] <= start_step] if start_step else []
        content = "".join(json.dumps(line) + "\n" for line in kept)
        write_atomically(workdir / "metrics.jsonl", content.encode())
        self._file = open(workdir / "metrics.jsonl", "a")  # noqa: SIM115
        self._events = SummaryWriter(str(workdir / "tensorboard"), purge_step=start_step + 1)

    def write(self, step: int, split: str, scalars: Mapping[str, float], **notes: str) -> None:
        """One line for the scalars of a split at a step, with notes on how they were made."""
        line = {"step": step, "split": split} | notes | {name: float(value) for name, value in scalars.items()}
        self._file.write(json.dumps(_finite(line), allow_nan=False) + "\n")
        self._file.flush()
        for name, value in scalars.items():
            self._events.add_scalar(f"{split}/{name}", float(value), step)

    def close(self) -> None:
        """Flushes both files."""
        self._file.close()
        self._events.close()


def _finite(value: Any) -> Any:
    """The same tree with None for numbers that are not finite, which JSON has no word for."""
    if isinstance(value, Mapping):
        return {key: _finite(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
