"""Progress of long computations: a bar in a terminal, lines in the log elsewhere."""

import contextlib
import contextvars
import logging
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Self, TypeVar

import jax
import tqdm

logger = logging.getLogger(__name__)

QUIET_SECONDS = 10.0  # nothing is shown before, and lines of the log are this far apart
MAX_PARTS = 100  # calls into which a computation of many batches is split to show its progress

T = TypeVar("T")

_IS_HIDDEN = contextvars.ContextVar("is_hidden", default=False)


@contextlib.contextmanager
def hide_progress() -> Iterator[None]:
    """Show no progress, neither bar nor lines, in this context."""
    token = _IS_HIDDEN.set(True)
    try:
        yield
    finally:
        _IS_HIDDEN.reset(token)


class Progress:
    """A context in which `update` counts the steps of a computation that may take long.

    If stderr is a terminal, a bar shows the progress; otherwise a plain line of the log does, every
    few seconds, also during a long step. A computation that ends earlier shows nothing. With
    several processes, only the first shows its progress.

    Args:
      total: number of steps.
      description: name of the computation.
      unit: name of one step, in the plural for a line.
      initial: steps that were done before.
      seconds: time between lines, and before the first line or the bar; `QUIET_SECONDS` by default.
      bar_at_once: show a bar from the beginning.
      clock: the time in seconds.
      wait: (event, seconds) -> True once the event is set.
    """

    def __init__(
        self,
        total: int,
        description: str,
        unit: str = "batch",
        *,
        initial: int = 0,
        seconds: float | None = None,
        bar_at_once: bool = False,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[threading.Event, float], bool] = threading.Event.wait,
    ) -> None:
        self._total, self._description, self._unit = total, description, unit
        self._initial = self._done = initial
        self._seconds = QUIET_SECONDS if seconds is None else seconds
        self._bar_delay = 0.0 if bar_at_once else self._seconds
        self._clock, self._wait = clock, wait
        self._start, self._status, self._activity = 0.0, "", ""
        self._bar: tqdm.tqdm | None = None
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._start = self._clock()
        if jax.process_index() == 0 and not _IS_HIDDEN.get():
            if sys.stderr.isatty():
                self._bar = tqdm.tqdm(
                    total=self._total,
                    initial=self._initial,
                    desc=self._description,
                    unit=self._unit,
                    delay=self._bar_delay,
                    leave=self._bar_delay == 0,
                    ncols=min(shutil.get_terminal_size().columns, 100),
                    nrows=20,  # a terminal that claims to have no rows would get no bar
                )
            self._thread = threading.Thread(target=self._tell, daemon=True)
            self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        if self._bar is not None:
            self._bar.close()

    def update(self, steps: int = 1, status: str = "") -> None:
        """Count `steps` more steps as done; `status` follows the numbers."""
        self._done += steps
        self._status = status
        if self._bar is not None:
            self._bar.set_postfix_str(status, refresh=False)
            self._bar.update(steps)

    @contextlib.contextmanager
    def during(self, activity: str) -> Iterator[None]:
        """Tell of an activity between steps, such as 'validating', in this context."""
        self._activity = activity
        if self._bar is not None:
            self._bar.set_postfix_str(activity)
        try:
            yield
        finally:
            self._activity = ""
            if self._bar is not None:
                self._bar.set_postfix_str(self._status)

    def _tell(self) -> None:
        while not self._wait(self._stop, self._seconds):
            if self._bar is not None:
                self._bar.refresh()
            else:
                logger.info("%s", self._line())

    def _line(self) -> str:
        seconds = self._clock() - self._start
        steps = f"{self._done} of {self._total} {self._unit}"
        if self._activity:
            return f"{self._description}: {self._activity} after {steps}, {seconds:.0f} s so far"
        line = f"{self._description}: {steps} after {seconds:.0f} s"
        new, remaining = self._done - self._initial, self._total - self._done
        if new and remaining:
            line += f", about {seconds * remaining / new:.0f} s left"
        return f"{line}; {self._status}" if self._status else line


def track(items: Sequence[T], description: str, unit: str = "batch") -> Iterator[T]:
    """Yield the items, with progress; an item is done when the next one is asked for."""
    with Progress(len(items), description, unit) as progress:
        for item in items:
            yield item
            progress.update()


def split_steps(num_steps: int) -> list[range]:
    """Split steps 0..num_steps - 1 into at most `MAX_PARTS` ranges, equal but for the last.

    All are equal if a divisor allows it: then one compiled program serves all.
    """
    least = max(1, -(-num_steps // MAX_PARTS))
    divisors = [size for size in range(least, 4 * least) if num_steps % size == 0]
    size = divisors[0] if divisors else least
    return [range(start, min(start + size, num_steps)) for start in range(0, num_steps, size)]
