"""SIGTERM and Ctrl-C during training: the run stops at the next safe point."""

import contextlib
import os
import signal
import sys
import threading
from types import FrameType
from typing import Any, NoReturn, Self

from vae_jax.errors import Interrupted


class Interruption:
    """A context that records the first SIGTERM or SIGINT; a second one has its usual effect.

    Python allows signal handlers in the main thread only; elsewhere this records nothing.
    """

    def __init__(self) -> None:
        self._received: signal.Signals | None = None
        self._handlers: dict[int, Any] = {}  # those to restore

    @property
    def requested(self) -> bool:
        """True once a signal has arrived."""
        return self._received is not None

    def leave(self, step: int) -> NoReturn:
        """Raise Interrupted, with the status of the signal: 143 for SIGTERM, 130 for SIGINT."""
        received = self._received or signal.SIGTERM  # the signal of another process of the same run
        raise Interrupted(
            f"stopped by {received.name}: step {step} is saved; run the same command to resume",
            128 + received,
        )

    def __enter__(self) -> Self:
        if threading.current_thread() is not threading.main_thread():
            return self
        for number in (signal.SIGTERM, signal.SIGINT):
            # A shell ignores SIGINT for a command that it runs with `&`.
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._handlers[number] = signal.signal(number, self._record)
        return self

    def __exit__(self, *_: object) -> None:
        self._restore()

    def _record(self, number: int, frame: FrameType | None) -> None:
        self._received = signal.Signals(number)
        self._restore()
        text = (
            f"\n{self._received.name}: stops at the next safe point; a second one ends it at once\n"
        )
        # A print may not interrupt another one. Standard error may be no file, as in a notebook.
        with contextlib.suppress(AttributeError, OSError, ValueError):
            os.write(sys.stderr.fileno(), text.encode())

    def _restore(self) -> None:
        while self._handlers:
            number, handler = self._handlers.popitem()
            # None: the handler was not set from Python.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
