"""One run at a time in a workdir.

The system releases the lock when its process ends, however it ends.
"""

import contextlib
import datetime
import errno
import json
import logging
import os
import pathlib
import socket
from collections.abc import Iterator

import filelock

from vae_jax.errors import InputError
from vae_jax.files import LEFTOVERS, Path, is_local

logger = logging.getLogger(__name__)

NAME = "lock"  # names its holder; a file that a killed process left behind is taken over
WAIT = 0.1  # seconds: the holder may be just about to leave
NO_LOCKS = {errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP}


@contextlib.contextmanager
def lock_directory(directory: Path, *, wait: float = WAIT) -> Iterator[None]:
    """Keep other runs out of a directory; only a warning if its file system has no locks.

    Args:
      directory: it exists.
      wait: seconds until another holder is an error.

    Raises:
      InputError: another process, or another run in this process, holds the lock.
    """
    if not is_local(directory):
        _warn_not_locked(directory, "a bucket")
        yield
        return
    path = directory / NAME
    lock = filelock.FileLock(path, timeout=wait, fallback_to_soft=False)
    try:
        lock.acquire()
    except filelock.Timeout:
        raise InputError(
            f"workdir = {os.fspath(directory)!r}: in use by {_describe_holder(path)}; "
            "wait for it to finish or use another workdir"
        ) from None
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        _warn_not_locked(directory, error.strerror)
    LEFTOVERS.add(path)
    try:
        _sign(path)
        yield
    finally:
        LEFTOVERS.discard(path)
        with contextlib.suppress(OSError):
            path.unlink()  # while locked: a process that waits for this file finds it gone
        lock.release()


def describe_holder(directory: Path) -> str | None:
    """Describe the process that holds the lock; None if there is none.

    A directory that cannot be locked has no holder.
    """
    path = directory / NAME
    if not is_local(directory) or not path.exists():
        return None
    lock = filelock.FileLock(path, timeout=0, fallback_to_soft=False)
    try:
        lock.acquire()
    except filelock.Timeout:
        return _describe_holder(path)
    except OSError:
        return None
    lock.release()
    return None


def _warn_not_locked(directory: Path, reason: str | None) -> None:
    logger.warning(
        "%s cannot be locked (%s): a concurrent run would go undetected",
        os.fspath(directory),
        reason,
    )


def _sign(path: pathlib.Path) -> None:
    since = datetime.datetime.now().astimezone().isoformat(sep=" ", timespec="seconds")
    path.write_text(json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "since": since}))


def _describe_holder(path: pathlib.Path) -> str:
    """Return a human-readable description of the lock holder."""
    try:
        values = json.loads(path.read_text())
        return f"process {values['pid']} on {values['host']} since {values['since']}"
    except (OSError, ValueError, KeyError, TypeError):  # not signed yet, or on a full disk
        return "another process"
