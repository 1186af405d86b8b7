"""Exits of the command line: expected errors as one-line messages, and the exit status of each."""

import asyncio
import contextlib
import os
import sys
import traceback
from collections.abc import Iterator
from typing import Any, NoReturn

from vae_jax.errors import InputError, Interrupted, RunDiverged, RunStopped, truncate
from vae_jax.experiment.launch import early_exit

MAX_MESSAGE = 4000  # characters; anything longer repeats a long value
STOPPED, WRONG_INPUT, DIVERGED = 1, 2, 3  # described in the docstring of `vae_jax.main`


@contextlib.contextmanager
def exit_with_message() -> Iterator[None]:
    """End the program with a one-line message if an expected error leaves the context."""
    sys.unraisablehook = _report_unraisable
    try:
        yield
    except Interrupted as interrupt:
        _leave_at_once(str(interrupt), interrupt.status)
    except KeyboardInterrupt:
        _leave(early_exit.AGAIN, early_exit.STATUS)
    except Exception as error:
        message = _explain(error)
        if "jax" in sys.modules:
            from vae_jax.experiment import processes

            text = message or "".join(traceback.format_exception(error)).rstrip()
            processes.leave_if_alone(error, text, exit_status(error))
        if message is None:
            raise
        _leave(message, exit_status(error))


def exit_status(error: BaseException) -> int:
    """The exit status for an error, or for its cause if several processes raise it together."""
    kind = getattr(error, "kind", type(error))
    if issubclass(kind, InputError):
        return WRONG_INPUT
    return DIVERGED if issubclass(kind, RunDiverged) else STOPPED


def _leave_at_once(message: str, status: int) -> NoReturn:
    """End the program without waiting for its threads, which may compile for a minute.

    Several processes leave JAX together, and so take the orderly way.
    """
    if early_exit.is_armed() and not _is_distributed():
        print(message, file=sys.stderr, flush=True)
        sys.stdout.flush()
        os._exit(status)
    _leave(message, status)


def _is_distributed() -> bool:
    return "jax" in sys.modules and sys.modules["jax"].distributed.is_initialized()


def _leave(message: str, status: int) -> NoReturn:
    print(message, file=sys.stderr, flush=True)
    sys.exit(status)


def leave_with(error: InputError) -> NoReturn:
    """End the program with the message of invalid input."""
    _leave(_format_error(error), WRONG_INPUT)


@contextlib.contextmanager
def explain_import() -> Iterator[None]:
    """Raise RunStopped if JAX cannot be imported, as with an invalid JAX variable."""
    try:
        yield
    except (ImportError, ValueError, RuntimeError) as error:
        raise RunStopped(
            f"JAX cannot be loaded ({type(error).__name__}: {error}); see the variables of the "
            "environment that begin with JAX_, and the versions of jax and jaxlib"
        ) from error


def _explain(error: Exception) -> str | None:
    """The message of an expected error, else None."""
    if _is_distributed():
        from vae_jax.experiment import peers, processes

        if not isinstance(error, InputError | processes.SharedError):
            peers.wait_for_loss()  # of which the error may be the effect
    if isinstance(error, InputError | RunStopped | OSError):  # OSError: a full or read-only disk
        return _format_error(error)
    if not _is_distributed() or not processes.is_of_connection(error):
        return None
    return (
        "error: another process of this run ended or cannot be reached "
        f"({truncate(str(error), 200)})"
    )


def _report_unraisable(unraisable: Any) -> None:
    """Call Python's own hook, except for callbacks to an event loop that is already closed.

    The threads that wrote a checkpoint make them after its failure was reported.
    """
    traceback = unraisable.exc_traceback
    callback = asyncio.BaseEventLoop.call_soon_threadsafe.__code__
    if traceback is None or traceback.tb_frame.f_code is not callback:
        sys.__unraisablehook__(unraisable)


def _format_error(error: Exception) -> str:
    return f"error: {truncate(str(error), MAX_MESSAGE)}"
