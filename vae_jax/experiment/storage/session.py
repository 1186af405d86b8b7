"""`training.json`: what each session of a training, from a start to its last checkpoint, took."""

import dataclasses
import datetime
import json
import os
import time
from typing import Any

from vae_jax.experiment.storage.environment import git_state
from vae_jax.files import Path, write_atomically

FILE = "training.json"


class Session:
    """The steps and the time of a training in this process.

    The duration is all of it. The speed is measured in calls between two checkpoints, without
    validation. Those before the first checkpoint, which wait for the compiler, count only if there
    are no other checkpoints, from the first metrics on and without the second call, which may be
    complete by then.
    """

    def __init__(self, workdir: Path, first_step: int, batch_size: int) -> None:
        self._path = workdir / FILE
        self._earlier = _read(self._path)
        self._batch_size = batch_size
        self._begin = time.monotonic()
        self._spans = [_Span()]  # spans before the first checkpoint, and after each
        now = datetime.datetime.now(datetime.UTC)
        self._record: dict[str, Any] = {
            "started": f"{now:%Y-%m-%d %H:%M:%S} UTC",
            "first_step": first_step,
            **git_state(os.getcwd()),
        }

    def count(self, num_steps: int) -> None:
        """Count a call whose metrics have arrived."""
        span, now = self._spans[-1], time.monotonic()
        span.calls += 1
        if span.start is None:
            span.start = now
        elif len(self._spans) > 1 or span.calls > 2:
            span.steps += num_steps
            span.seconds = now - span.start

    def write(self, step: int, num_parameters: int) -> None:
        """Append the record of this session, up to a checkpoint, to earlier records."""
        later = [span for span in self._spans[1:] if span.steps]
        spans = later or self._spans[:1]
        self._record |= {
            "last_step": step,
            "num_parameters": num_parameters,
            "seconds": time.monotonic() - self._begin,
            "timed_images": self._batch_size * sum(span.steps for span in spans),
            "timed_seconds": sum(span.seconds for span in spans),
        }
        content = json.dumps([*self._earlier, self._record], indent=2)
        write_atomically(self._path, f"{content}\n".encode())

    def resume(self) -> None:
        """Begin to time the next call, after a checkpoint."""
        self._spans.append(_Span(start=time.monotonic()))


@dataclasses.dataclass
class _Span:
    """Calls between two checkpoints."""

    start: float | None = None
    calls: int = 0
    steps: int = 0  # that `seconds` took
    seconds: float = 0.0


def summarize_training(workdir: Path) -> dict[str, Any]:
    """The number of parameters, duration, speed and commit of a training; {} if not recorded.

    Duration and speed are over all sessions, the commit is from the last session. The speed is
    of one trial, if several train side by side.
    """
    sessions = _read(workdir / FILE)
    if not sessions:
        return {}
    last = sessions[-1]
    images, seconds = (sum(s[key] for s in sessions) for key in ("timed_images", "timed_seconds"))
    return {
        "num_parameters": last["num_parameters"],
        "seconds": sum(session["seconds"] for session in sessions),
        **({"images_per_second": images / seconds} if seconds else {}),
        "started": sessions[0]["started"],
        "num_sessions": len(sessions),
        **{key: value for key, value in last.items() if key.startswith("git_")},
    }


def _read(path: Path) -> list[dict[str, Any]]:
    """The sessions in the file; none if it is missing or damaged."""
    try:
        sessions = json.loads(path.read_text())
        numbers = ("num_parameters", "seconds", "timed_images", "timed_seconds")
        is_valid = all(
            isinstance(session["started"], str) and all(float(session[n]) >= 0 for n in numbers)
            for session in sessions
        )
    except (OSError, ValueError, TypeError, KeyError):
        return []
    return sessions if is_valid else []
