"""Ctrl-C while the program loads: one line instead of a traceback.

It imports nothing slow, so that it works from the first moment on.
"""

import os
import signal
import sys
from types import FrameType

AGAIN = "interrupted; run the same command again"
STATUS = 130  # the shell convention for SIGINT


def arm() -> None:
    """End the program at Ctrl-C at once, until `disarm`; nothing may need cleaning up before.

    A SIGINT that is ignored, as in the background of a shell, stays so. In a notebook it would end
    the kernel.
    """
    is_default = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if is_default and "IPython" not in sys.modules:
        signal.signal(signal.SIGINT, _leave)


def disarm() -> None:
    """Let Ctrl-C raise KeyboardInterrupt again, if `arm` has changed that."""
    if signal.getsignal(signal.SIGINT) is _leave:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _leave(number: int, frame: FrameType | None) -> None:
    # An exception could be caught, or shown as a traceback, by a module that is being imported.
    os.write(2, f"{AGAIN}\n".encode())
    os._exit(STATUS)
