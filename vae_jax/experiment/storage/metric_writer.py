"""What a run writes down: `config.json`, `metrics.jsonl`, `results.json`, TensorBoard events."""

import io
import json
import logging
import os
import pathlib
import socket
import struct
import time
from collections.abc import Mapping
from typing import Any

from tensorboardX.proto.event_pb2 import Event, SessionLog
from tensorboardX.proto.summary_pb2 import Summary
from tensorboardX.record_writer import masked_crc32c

from vae_jax.files import finite_or_none, write_atomically

logger = logging.getLogger(__name__)


def read_metrics(workdir: pathlib.Path) -> list[dict[str, Any]]:
    """The lines of `metrics.jsonl`; one that can't be read, as a last one cut short by a kill, is left out with a warning."""
    path = workdir / "metrics.jsonl"
    lines = []
    for number, text in enumerate(
        path.read_text(errors="replace").split("\n") if path.exists() else [], start=1
    ):
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
        kept = (
            [line for line in read_metrics(workdir) if line["step"] <= start_step]
            if start_step
            else []
        )
        content = "".join(json.dumps(line) + "\n" for line in kept)
        write_atomically(workdir / "metrics.jsonl", content.encode())
        self._file = open(workdir / "metrics.jsonl", "ab", buffering=0)  # noqa: SIM115
        self._events = _Events(workdir / "tensorboard", purge_step=start_step + 1)

    def write(self, step: int, split: str, scalars: Mapping[str, float], **notes: str) -> None:
        """One line for the scalars of a split at a step, with notes on how they were made."""
        line = (
            {"step": step, "split": split}
            | notes
            | {name: float(value) for name, value in scalars.items()}
        )
        _append(self._file, (json.dumps(finite_or_none(line), allow_nan=False) + "\n").encode())
        values = [
            Summary.Value(tag=f"{split}/{name}", simple_value=float(value))
            for name, value in scalars.items()
        ]
        self._events.write(Event(step=step, summary=Summary(value=values)))

    def close(self) -> None:
        """Closes both files."""
        self._file.close()
        self._events.close()


class _Events:
    """A file of TensorBoard's events, written at once.

    Not a `SummaryWriter`: its thread dies of a disk that is full, after which the run waits for it for ever, and what it
    holds back for two minutes is lost in a kill.
    """

    def __init__(self, directory: pathlib.Path, *, purge_step: int) -> None:
        directory.mkdir(exist_ok=True)
        name = f"events.out.tfevents.{time.time():.0f}.{socket.gethostname()}.{os.getpid()}"
        self._file = open(directory / name, "ab", buffering=0)  # noqa: SIM115
        self.write(Event(file_version="brain.Event:2"))
        self.write(
            Event(step=purge_step, session_log=SessionLog(status=SessionLog.START))
        )  # hides the steps from there on

    def write(self, event: Event) -> None:
        event.wall_time = time.time()
        data = event.SerializeToString()
        size = struct.pack("<Q", len(data))
        record = (
            size,
            struct.pack("<I", masked_crc32c(size)),
            data,
            struct.pack("<I", masked_crc32c(data)),
        )
        _append(self._file, b"".join(record))

    def close(self) -> None:
        self._file.close()


def _append(file: io.FileIO, content: bytes) -> None:
    """Writes all of it, or raises; nothing stays in a buffer that would fail again when the file is closed."""
    while content:
        content = content[file.write(content) :]


class SilentWriter:
    """Writes nothing: the writer of all processes but the first."""

    def write(self, step: int, split: str, scalars: Mapping[str, float], **notes: str) -> None:
        pass

    def close(self) -> None:
        pass
