"""One run at a time in a workdir: a lock that the system takes back when its process ends, however it ends."""

import contextlib
import datetime
import json
import logging
import os
import pathlib
import socket
from collections.abc import Iterator
from typing import IO

from vae_jax.errors import InputError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

logger = logging.getLogger(__name__)

NAME = "lock"  # says who holds it; one that a killed process left behind is taken over


@contextlib.contextmanager
def lock_directory(directory: pathlib.Path) -> Iterator[None]:
    """Keeps other processes from entering for the same directory; a warning where the file system has no locks.

    Raises:
      InputError: another process, or another part of this one, is in.
    """
    file = _acquire(directory / NAME)
    try:
        _sign(file)
        yield
    finally:
        with contextlib.suppress(OSError):
            (directory / NAME).unlink(
                missing_ok=True
            )  # while it is held: whoever waits for this file finds it gone
        file.close()


def _acquire(path: pathlib.Path) -> IO[str]:
    while True:
        file = open(path, "a+")  # noqa: SIM115  # for writing: without that, NFS gives no exclusive lock
        try:
            _flock(file, path)
        except BlockingIOError:
            holder = _holder(file)
            file.close()
            raise InputError(
                f"workdir = {os.fspath(path.parent)!r}: in use by {holder}; wait for its end, or take another"
            ) from None
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                return file
        file.close()  # its holder took it away between our opening it and locking it


def _flock(file: IO[str], path: pathlib.Path) -> None:
    if fcntl is None:
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError as error:  # as on some network file systems
        logger.warning(
            "%s cannot be locked (%s): nothing keeps a second run out",
            path.parent,
            error.strerror or error,
        )


def _sign(file: IO[str]) -> None:
    since = datetime.datetime.now().astimezone().isoformat(sep=" ", timespec="seconds")
    file.truncate(0)
    json.dump({"pid": os.getpid(), "host": socket.gethostname(), "since": since}, file)
    file.flush()


def _holder(file: IO[str]) -> str:
    """Who signed it, in words."""
    file.seek(0)
    try:
        values = json.load(file)
        return f"process {values['pid']} on {values['host']} since {values['since']}"
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
    ):  # between its locking and its signing, or on a full disk
        return "another process"
