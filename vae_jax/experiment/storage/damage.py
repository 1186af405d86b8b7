"""Why a checkpoint cannot be read: damage, or what leaves its files as they are."""

import errno
import os
import textwrap

import jax

from vae_jax.errors import InputError, RunStopped
from vae_jax.experiment import peers, processes
from vae_jax.files import Path

REFUSALS = {  # errors of the system under which an intact file cannot be read
    errno.EACCES,
    errno.EHOSTDOWN,
    errno.EHOSTUNREACH,
    errno.EMFILE,
    errno.ENFILE,
    errno.ENOMEM,
    errno.ENOTCONN,
    errno.EPERM,
    errno.ESTALE,
    errno.ETIMEDOUT,
}


class DamagedError(InputError):
    """An unreadable checkpoint."""


class RefusedError(InputError):
    """A checkpoint that the system does not let this process read; it may be intact."""


def raise_unless_damage(error: Exception, name: str, folder: Path) -> None:
    """Raise if a lost process, a full memory or the system is to blame, which damage no file."""
    if processes.is_of_connection(error):
        peers.wait_for_loss()  # it ends this process
        raise RunStopped(_left_as_it_is(name, error)) from error
    if isinstance(error, jax.errors.JaxRuntimeError | MemoryError):
        raise error
    if refusal := _refusal(error, folder):
        advice = "once it can be read, run the same command again"
        raise RefusedError(f"{_left_as_it_is(name, refusal)}; {advice}") from error


def _left_as_it_is(name: str, error: Exception) -> str:
    return f"{name} could not be read ({textwrap.shorten(str(error), 200)}); it is left as it is"


def _refusal(error: Exception, folder: Path) -> Exception | None:
    """The error of the system behind an error of reading the folder, if it is one of `REFUSALS`."""
    try:
        os.listdir(folder)  # of a folder that it may not open, Orbax says that it is not there
    except OSError as of_folder:
        if of_folder.errno in REFUSALS:
            return of_folder
    texts = map(os.strerror, REFUSALS)  # TensorStore raises ValueError with such a text
    is_refusal = getattr(error, "errno", None) in REFUSALS or any(t in str(error) for t in texts)
    return error if is_refusal else None
