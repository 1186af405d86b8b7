"""Ctrl-C and SIGTERM of the command line: one line and the exit status, at any moment.

Python's own way is an exception between any two instructions. It can be raised where nothing can
catch it, such as in the callback of a weak reference that releases the lock of a module. Then the
signal is lost, and the next import waits forever. So the process ends in the handler of the signal.
It leaves on disk what a killed process leaves, less its temporary files and its lock.

It imports nothing slow, so that it works from the first moment on.
"""

import os
import signal
import sys
from types import FrameType

AGAIN = "interrupted; run the same command again"
STATUS = 130  # the shell convention for SIGINT
SIGNALS = (signal.SIGINT, signal.SIGTERM)


def arm() -> None:
    """End the program at once at Ctrl-C and SIGTERM, except while it trains.

    Training stops at its next safe point, see `Interruption`. A signal that is ignored, as SIGINT
    in the background of a shell, stays so. In a notebook the handler would end the kernel.
    """
    if "IPython" in sys.modules:
        return
    for number, default in zip(SIGNALS, (signal.default_int_handler, signal.SIG_DFL), strict=True):
        if signal.getsignal(number) is default:
            signal.signal(number, _leave)


def is_armed() -> bool:
    """True if a signal ends this process at once."""
    return any(signal.getsignal(number) is _leave for number in SIGNALS)


def _leave(number: int, frame: FrameType | None) -> None:
    for ignored in SIGNALS:
        signal.signal(ignored, signal.SIG_IGN)
    os.write(2, f"{_advise()}\n".encode(errors="replace"))
    files = sys.modules.get("vae_jax.files")
    if hasattr(files, "delete_leftovers"):  # not while the module is imported
        files.delete_leftovers()
    os._exit(128 + number)


def _advise() -> str:
    """The advice of the innermost context of `explain_interrupt`."""
    advice = getattr(sys.modules.get("vae_jax.errors"), "INTERRUPT_ADVICE", None)
    try:
        return advice[-1]() if advice else AGAIN
    except Exception:  # whatever a half-built or damaged run raises, the process ends
        return AGAIN
