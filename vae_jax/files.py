"""Local paths and buckets, atomic writes, strict JSON and full disks."""

import contextlib
import errno
import importlib.util
import json
import math
import os
import pathlib
import re
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from vae_jax.errors import InputError, suggest

if TYPE_CHECKING:
    from etils import epath

    Path: TypeAlias = pathlib.Path | epath.Path
else:
    Path = Any  # etils is imported only for buckets

BUCKETS = {"gs": ("gcsfs", "tensorflow"), "s3": ("s3fs",)}  # any of these packages
# Temporary files and folders, which a process that ends inside of their contexts deletes.
LEFTOVERS: set[pathlib.Path] = set()
UPLOAD_EVERY = 30.0  # seconds between two uploads of a growing file


def check_file(argument: str, path: str) -> None:
    """Raises InputError of the argument unless there is a regular file of this name."""
    if not os.path.isfile(path):
        problem = "not a regular file" if os.path.exists(path) else "no such file"
        raise InputError.of(argument, path, problem)


def as_path(where: str | os.PathLike, field: str = "workdir") -> Path:
    """Return a local path, or the `etils.epath.Path` of a bucket, gs://NAME/... or s3://NAME/...

    Raises:
      InputError: an unknown scheme, or no package for this kind of bucket is installed; the message
        begins with `field`.
    """
    if isinstance(where, pathlib.Path):
        return _check_no_scheme(where, field)
    text = os.fspath(where)
    scheme, separator, rest = text.partition("://")
    if not separator or scheme not in BUCKETS:
        return _check_no_scheme(pathlib.Path(text), field, text)
    if not rest.partition("/")[0]:
        raise InputError(f"{field} = {text!r}: must name a bucket, such as {scheme}://NAME/run")
    packages = BUCKETS[scheme]
    if not any(importlib.util.find_spec(package) for package in packages):
        raise InputError(
            f"{field} = {text!r}: needs the package {packages[0]}, which is not installed; "
            f"pip install {packages[0]}"
        )
    from etils import epath

    return epath.Path(text)


def _check_no_scheme(path: pathlib.Path, field: str, text: str | None = None) -> pathlib.Path:
    text = os.fspath(path) if text is None else text
    match = re.match(r"([A-Za-z][A-Za-z0-9+.-]+):(?=/)", text) or re.match(r"(gs|s3):", text)
    if match:
        hint = "" if match[1] in BUCKETS else suggest(match[1], BUCKETS)
        raise InputError(
            f"{field} = {text!r}: unknown file system {match[0]!r}; use a local path, or another "
            f"that begins with {' or '.join(f'{scheme}://' for scheme in BUCKETS)}{hint}"
        )
    return path


def is_local(path: Path) -> bool:
    """True unless the path is in a bucket."""
    return isinstance(path, pathlib.Path)


def write_atomically(path: Path, content: bytes) -> None:
    """Write all of the content under `path`, or leave the file as it was.

    An object in a bucket appears when its upload is complete.
    """
    if not is_local(path):
        path.write_bytes(content)
        return
    with replace_atomically(path) as temporary:
        temporary.write_bytes(content)


@contextlib.contextmanager
def replace_atomically(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """Yield a temporary path, whose file replaces the local `path` when the context ends.

    An error, or an interruption, deletes the temporary file and leaves `path` as it was.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    LEFTOVERS.add(temporary)
    try:
        with name_in_errors(path):
            yield temporary
            with open(temporary, "rb+") as file:
                os.fsync(file.fileno())
            os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    finally:
        LEFTOVERS.discard(temporary)


@contextlib.contextmanager
def name_in_errors(path: pathlib.Path) -> Iterator[None]:
    """Add the path to an OSError without one, such as a write to a full disk raises."""
    try:
        yield
    except OSError as error:
        if error.filename is None and error.errno is not None:
            error.filename = os.fspath(path)
        raise


@contextlib.contextmanager
def temporary_folder(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """Yield a new folder beside the local `path`, which is deleted when the context ends."""
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as name:
        folder = pathlib.Path(name)
        LEFTOVERS.add(folder)
        try:
            yield folder
        finally:
            LEFTOVERS.discard(folder)


def delete_leftovers() -> None:
    """Delete the temporary files of this process, as far as possible."""
    for path in list(LEFTOVERS):
        with contextlib.suppress(OSError):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


class LocalAppender:
    """Appends to a local file, without a buffer, which would raise again when it is closed."""

    def __init__(self, path: pathlib.Path) -> None:
        self._path = path
        self._file = open(path, "ab", buffering=0)  # noqa: SIM115

    def write(self, content: bytes) -> None:
        """Write all of the content, or raise."""
        with name_in_errors(self._path):
            while content:
                content = content[self._file.write(content) :]

    def flush(self) -> None:
        """Do nothing: all content is in the file."""

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class BucketAppender:
    """Appends to an object in a bucket, which can only be replaced as a whole.

    The content is uploaded every `UPLOAD_EVERY` seconds, by `flush` and by `close`.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._content = bytearray(path.read_bytes() if path.exists() else b"")
        self._is_uploaded = True
        self._upload_time = time.monotonic()

    def write(self, content: bytes) -> None:
        """Add the content, and upload if the last upload was long ago."""
        self._content += content
        self._is_uploaded = False
        if time.monotonic() - self._upload_time > UPLOAD_EVERY:
            self.flush()

    def flush(self) -> None:
        """Upload what is new."""
        if not self._is_uploaded:
            write_atomically(self._path, bytes(self._content))
            self._is_uploaded = True
            self._upload_time = time.monotonic()

    def close(self) -> None:
        """Upload what is new."""
        self.flush()


def open_appender(path: Path) -> LocalAppender | BucketAppender:
    """Open a file to append to; it is created if it is missing."""
    return LocalAppender(path) if is_local(path) else BucketAppender(path)


def modification_time(path: Path) -> float:
    """Return the time of the last change in seconds since 1970; raises OSError if missing."""
    status = path.stat()
    return float((status.st_mtime if is_local(path) else status.mtime) or 0)  # type: ignore[union-attr]


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write a file of `to_json`."""
    write_atomically(path, to_json(values))


def to_json(values: Mapping[str, Any]) -> bytes:
    """Return strict JSON, indented; non-finite numbers become null."""
    text = json.dumps(finite_or_none(values), indent=2, allow_nan=False)
    return f"{text}\n".encode()


def write_folder(path: Path, files: Mapping[str, bytes]) -> None:
    """Write files by name into a new folder, or in place of a folder that has the last of them.

    A local folder appears when it is complete. In a bucket the last file is written last.
    """
    marker = list(files)[-1]
    if not is_local(path):
        for name, content in files.items():
            write_atomically(path / name, content)
        return
    path = pathlib.Path(path).resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    new = pathlib.Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        for name, content in files.items():
            write_atomically(new / name, content)
        new.chmod(0o755)  # mkdtemp makes it private
        if (path / marker).exists():
            old = new.with_name(f"{new.name}.old")
            os.replace(path, old)
            try:
                os.replace(new, path)
            except BaseException:
                os.replace(old, path)
                raise
            shutil.rmtree(old, ignore_errors=True)
        else:
            os.replace(new, path)  # also onto an empty folder
    except BaseException:
        shutil.rmtree(new, ignore_errors=True)
        raise


def finite_or_none(value: Any) -> Any:
    """Return the same tree with None for non-finite numbers, which JSON cannot express."""
    if isinstance(value, Mapping):
        return {key: finite_or_none(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [finite_or_none(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def is_disk_full(error: BaseException, directory: Path, num_bytes: int) -> bool:
    """True if writing `num_bytes` in the directory failed with `error` for lack of space.

    Python's errors carry an errno, perhaps in one of their causes. Libraries in C++ raise errors
    without it, so the free space counts too.
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        cause = cause.__cause__ or cause.__context__
    return is_local(directory) and shutil.disk_usage(directory).free < num_bytes
