"""Progress of long computations: a bar in a terminal, lines in the log elsewhere."""

import logging
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Self, TypeVar

import jax
import tqdm

logger = logging.getLogger(__name__)

QUIET_SECONDS = 10.0  # nothing is shown before, and lines of the log are this far apart
MAX_PARTS = 100  # calls into which a computation of many batches is split to show its progress

T = TypeVar("T")


class Progress:
    """A context in which `update` counts the steps of a computation that may take long.

    A computation that ends within `QUIET_SECONDS` shows nothing. A longer one shows a bar if stderr
    is a terminal, and else a line in the log every `QUIET_SECONDS`, also during a long step. With
    several processes, only the first one shows its progress.
    """

    def __init__(self, total: int, description: str, unit: str = "batch") -> None:
        self._total, self._description, self._unit = total, description, unit
        self._done, self._start = 0, 0.0
        self._bar: tqdm.tqdm | None = None
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._start = time.monotonic()
        if jax.process_index() == 0:
            if sys.stderr.isatty():
                self._bar = tqdm.tqdm(
                    total=self._total,
                    desc=self._description,
                    unit=self._unit,
                    delay=QUIET_SECONDS,
                    leave=False,
                    dynamic_ncols=True,
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

    def update(self, steps: int = 1) -> None:
        """Count `steps` more steps as done."""
        self._done += steps
        if self._bar is not None:
            self._bar.update(steps)

    def _tell(self) -> None:
        while not self._stop.wait(QUIET_SECONDS):
            if self._bar is not None:
                self._bar.refresh()
            else:
                logger.info("%s", self._line())

    def _line(self) -> str:
        seconds = time.monotonic() - self._start
        line = (
            f"{self._description}: {self._done} of {self._total} {self._unit} after {seconds:.0f} s"
        )
        if not self._done:
            return line
        return f"{line}, about {seconds * (self._total - self._done) / self._done:.0f} s left"


def track(items: Sequence[T], description: str, unit: str = "batch") -> Iterator[T]:
    """Yield the items, with progress; an item is done when the next one is asked for."""
    with Progress(len(items), description, unit) as progress:
        for item in items:
            yield item
            progress.update()


def parts(num_steps: int) -> list[range]:
    """Split steps 0..num_steps - 1 into at most `MAX_PARTS` ranges, equal but for the last one.

    All are equal if a divisor allows it: then one compiled program serves all.
    """
    least = max(1, -(-num_steps // MAX_PARTS))
    divisors = [size for size in range(least, 4 * least) if num_steps % size == 0]
    size = divisors[0] if divisors else least
    return [range(start, min(start + size, num_steps)) for start in range(0, num_steps, size)]
