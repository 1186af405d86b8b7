"""SIGTERM and Ctrl-C while a run trains: noted, so that it ends where nothing is lost."""

import logging
import signal
import threading
from types import FrameType
from typing import Any, NoReturn, Self

logger = logging.getLogger(__name__)


class Interruption:
    """A context in which the first SIGTERM or SIGINT is noted; a second one does what it would have done without.

    Python allows handlers in the main thread only; in another one, nothing is noted.
    """

    def __init__(self) -> None:
        self._received: signal.Signals | None = None
        self._before: dict[int, Any] = {}

    @property
    def asked(self) -> bool:
        """Whether a signal has come."""
        return self._received is not None

    def leave(self, step: int) -> NoReturn:
        """Ends the program as the signal would have: status 143 after SIGTERM, KeyboardInterrupt after Ctrl-C."""
        received = self._received or signal.SIGTERM  # that of another process of the same run
        logger.warning(
            "stopped by %s: step %d is saved, and the same command goes on from it",
            received.name,
            step,
        )
        if received is signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(128 + received)

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                if (
                    signal.getsignal(number) is not signal.SIG_IGN
                ):  # as a shell leaves SIGINT for what it runs with `&`
                    self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        self._restore()

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._received = signal.Signals(number)
        self._restore()

    def _restore(self) -> None:
        while self._before:
            number, handler = self._before.popitem()
            signal.signal(
                number, signal.SIG_DFL if handler is None else handler
            )  # None: it was not set from Python
