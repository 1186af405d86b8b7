"""Atomic writes, strict JSON and full disks."""

import errno
import io
import json
import math
import os
import pathlib
import shutil
from collections.abc import Mapping
from typing import Any


def write_atomically(path: pathlib.Path, content: bytes) -> None:
    """Write all of the content under `path`, or leave the file as it was."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def append(file: io.FileIO, content: bytes) -> None:
    """Write all of the content to an unbuffered file, or raise.

    A buffer would raise again when the file is closed.
    """
    while content:
        content = content[file.write(content) :]


def write_json(path: pathlib.Path, values: Mapping[str, Any]) -> None:
    """Write strict JSON, indented; non-finite numbers become null."""
    text = json.dumps(finite_or_none(values), indent=2, allow_nan=False)
    write_atomically(path, f"{text}\n".encode())


def finite_or_none(value: Any) -> Any:
    """Return the same tree with None for non-finite numbers, which JSON cannot express."""
    if isinstance(value, Mapping):
        return {key: finite_or_none(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [finite_or_none(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def is_disk_full(error: BaseException, directory: pathlib.Path, num_bytes: int) -> bool:
    """True if writing `num_bytes` in the directory failed with `error` for lack of space.

    Python's errors carry an errno, perhaps in one of their causes. Libraries in C++ raise errors
    without it, so the free space counts too.
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        cause = cause.__cause__ or cause.__context__
    return shutil.disk_usage(directory).free < num_bytes
