"""Writers for the scalars of a run: `metrics.jsonl`, TensorBoard events and trackers."""

import json
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from vae_jax.experiment.storage.event_file import EventFile
from vae_jax.experiment.storage.tracker import Tracker
from vae_jax.files import Path, finite_or_none, open_appender, write_atomically

logger = logging.getLogger(__name__)


def read_metrics(workdir: Path) -> list[dict[str, Any]]:
    """Return the lines of `metrics.jsonl`.

    Skips unreadable lines with a warning, such as a last line cut short by a kill.
    """
    path = workdir / "metrics.jsonl"
    text = path.read_bytes().decode(errors="replace") if path.exists() else ""
    lines = []
    for number, content in enumerate(text.split("\n"), start=1):
        line = _parse_line(content)
        if line is not None:
            lines.append(line)
        elif content:
            logger.warning("%s, line %d: cannot be read, skipped", path, number)
    return lines


def _parse_line(content: str) -> dict[str, Any] | None:
    try:
        line = json.loads(content)
    except json.JSONDecodeError:
        return None
    return line if isinstance(line, dict) and {"step", "split"} <= line.keys() else None


class MetricsWriter:
    """Appends to `metrics.jsonl`, to TensorBoard's events and to the tracker, if any.

    A line of `metrics.jsonl` is an object with `step`, `split` and scalars.
    """

    def __init__(
        self, workdir: Path, *, start_step: int = 0, tracker: Tracker | None = None
    ) -> None:
        """Continue from `start_step`; drops later lines, which a killed run wrote."""
        lines = read_metrics(workdir) if start_step else []
        content = "".join(json.dumps(line) + "\n" for line in lines if line["step"] <= start_step)
        write_atomically(workdir / "metrics.jsonl", content.encode())
        self._file = open_appender(workdir / "metrics.jsonl")
        self._events = EventFile(workdir / "tensorboard", purge_step=start_step + 1)
        self._tracker = tracker

    def write(self, step: int, split: str, scalars: Mapping[str, float], **notes: str) -> None:
        """Write the scalars of a split at a step, with notes on how they were computed."""
        scalars = {name: float(value) for name, value in scalars.items()}
        line = finite_or_none({"step": step, "split": split} | notes | scalars)
        self._file.write((json.dumps(line, allow_nan=False) + "\n").encode())
        by_tag = {f"{split}/{name}": value for name, value in scalars.items()}
        self._events.write_scalars(step, by_tag)
        if self._tracker is not None:
            self._tracker.write(step, by_tag)

    def flush(self) -> None:
        """Upload what was written if the workdir is in a bucket."""
        self._file.flush()
        self._events.flush()

    def close(self) -> None:
        """Close the files, and end the run of the tracker."""
        self._file.close()
        self._events.close()
        if self._tracker is not None:
            self._tracker.close()


def write_figures(workdir: Path, step: int, paths: Sequence[Path]) -> None:
    """Show PNG files in TensorBoard, under figures/NAME at a step."""
    if not paths:
        return
    events = EventFile(workdir / "tensorboard", suffix=".figures")
    try:
        events.write_images(step, {f"figures/{path.stem}": path.read_bytes() for path in paths})
    finally:
        events.close()


class SilentWriter:
    """Writes nothing: the writer of all processes but the first."""

    def write(self, step: int, split: str, scalars: Mapping[str, float], **notes: str) -> None:
        pass

    def flush(self) -> None:
        pass

    def close(self) -> None:
        pass
