"""Arrays whose rows stay on disk, or in host memory, until they are read by index."""

import dataclasses
import functools
import math
import os
import zipfile
from collections.abc import Callable
from typing import Any, BinaryIO, Protocol, Self

import numpy as np

from vae_jax.errors import InputError


class Rows(Protocol):
    """An array read row by row, in any order, such as `np.ndarray`.

    It can be pickled, for worker processes.
    """

    @property
    def shape(self) -> tuple[int, ...]:
        """[N, *E]."""

    @property
    def dtype(self) -> np.dtype:
        """As stored."""

    def __getitem__(self, index: np.ndarray) -> np.ndarray:
        """The rows at index [n], as [n, *E]; raises OSError, with the file name, if unreadable."""


@dataclasses.dataclass(frozen=True, eq=False)
class HostRows:
    """A subset of rows, each checked and converted when it is read."""

    rows: Rows
    convert: Callable[[np.ndarray], np.ndarray]  # n rows to n rows
    positions: np.ndarray | None = None  # [n], the subset of `rows`; None for all

    @property
    def shape(self) -> tuple[int, ...]:
        return len(self), *self._first.shape[1:]

    @property
    def dtype(self) -> np.dtype:
        return self._first.dtype

    def __len__(self) -> int:
        return self.rows.shape[0] if self.positions is None else len(self.positions)

    @functools.cached_property
    def _first(self) -> np.ndarray:
        return self[np.zeros(1, np.int64)]

    def __getitem__(self, index: np.ndarray) -> np.ndarray:
        return self.convert(np.asarray(self.rows[self._places(index)]))

    def _places(self, index: np.ndarray) -> np.ndarray:
        return index if self.positions is None else self.positions[index]

    def read(self, index: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """The rows at index [n], and their observed entries; None if no value is missing."""
        if not isinstance(self.rows, IncompleteRows):
            return self[index], None
        images, observed = self.rows.read(self._places(index))
        return self.convert(images), observed

    @property
    def observed(self) -> "HostRows | None":
        """The observed entries of the rows; None if no value is missing."""
        if not isinstance(self.rows, IncompleteRows):
            return None
        return HostRows(ObservedRows(self.rows), np.asarray, self.positions)

    def select(self, positions: np.ndarray) -> Self:
        """The subset at `positions` [M] of these rows."""
        if self.positions is not None:
            positions = self.positions[positions]
        return dataclasses.replace(self, positions=positions)


@dataclasses.dataclass(frozen=True, eq=False)
class IncompleteRows:
    """Rows with missing values, which are zeros in them."""

    images: Rows
    mask: Rows | None  # the observed entries; None if the missing ones are NaN
    separate: Callable[[np.ndarray, np.ndarray | None], tuple[np.ndarray, np.ndarray]]

    @property
    def shape(self) -> tuple[int, ...]:
        return self.images.shape

    @property
    def dtype(self) -> np.dtype:
        return self.images.dtype

    def __getitem__(self, index: np.ndarray) -> np.ndarray:
        return self.read(index)[0]

    def read(self, index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The rows at index [n], and their observed entries."""
        mask = None if self.mask is None else np.asarray(self.mask[index])
        return self.separate(np.asarray(self.images[index]), mask)


@dataclasses.dataclass(frozen=True, eq=False)
class ObservedRows:
    """The observed entries of rows with missing values."""

    rows: IncompleteRows

    @property
    def shape(self) -> tuple[int, ...]:
        return self.rows.shape

    @property
    def dtype(self) -> np.dtype:
        return np.dtype(bool)

    def __getitem__(self, index: np.ndarray) -> np.ndarray:
        return self.rows.read(index)[1]


@dataclasses.dataclass(frozen=True)
class NpyRows:
    """The rows of an array in a file, read one by one.

    Not memory-mapped: if a mapped file is truncated or its disk fails, the system kills the
    process.
    """

    path: str
    offset: int  # bytes before the first row
    shape: tuple[int, ...]
    dtype: np.dtype

    def __getitem__(self, index: np.ndarray) -> np.ndarray:
        shape = (len(index), *self.shape[1:])
        size = self.dtype.itemsize * int(np.prod(self.shape[1:], dtype=np.int64))
        offsets = (self.offset + size * np.asarray(index, np.int64)).tolist()
        # Opened at each reading, so that a deleted file is noticed.
        with open(self.path, "rb", buffering=0) as file:
            descriptor = file.fileno()
            content = b"".join([os.pread(descriptor, size, offset) for offset in offsets])
        if len(content) != size * len(offsets):
            raise OSError(f"{self.path}: shorter than when the run began")
        return np.frombuffer(content, self.dtype).reshape(shape)


def open_npy(path: str) -> NpyRows:
    """The rows of a .npy file; it must be complete, of plain numbers and in row-major order.

    Raises InputError if it is not.
    """
    try:
        with open(path, "rb") as file:
            shape, dtype = _read_header(file)
            return _check_complete(NpyRows(path, file.tell(), shape, dtype))
    except Exception as error:  # numpy raises many types for a damaged header
        raise InputError.of("path", path, f"can't be streamed: {error}") from error


def open_npz(path: str, key: str) -> NpyRows:
    """The rows of one array of an .npz file, as for `open_npy`; it must not be compressed.

    Raises:
      InputError: no such file or array, or it is compressed or cut off.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            info = archive.getinfo(f"{key}.npy")
            if info.compress_type != zipfile.ZIP_STORED:
                raise ValueError(
                    f"{key} is compressed; write it with numpy.savez, or as {key}.npy into a folder"
                )
            with archive.open(info) as member:
                shape, dtype = _read_header(member)
                length = member.tell()
        # The array follows a header of the archive, with a name and extra bytes.
        with open(path, "rb") as file:
            file.seek(info.header_offset + 26)
            begin = file.tell() + 4 + sum(int.from_bytes(file.read(2), "little") for _ in range(2))
        return _check_complete(NpyRows(path, begin + length, shape, dtype))
    except Exception as error:  # numpy and zipfile raise many types
        raise InputError.of("path", path, f"can't be streamed: {error}") from error


def check_no_objects(archive: zipfile.ZipFile, key: str) -> None:
    """Raises ValueError if an array of an .npz file holds objects, which numpy would unpickle."""
    name = f"{key}.npy"
    with archive.open(name if name in archive.namelist() else key) as member:
        *_, dtype = parse_header(member)
    if dtype.hasobject:
        raise ValueError(
            f"{key} holds objects, not numbers; store an array of numbers or texts instead"
        )


def parse_header(file: BinaryIO | Any) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, True if column-major, and dtype of an array in the .npy format.

    Raises:
      ValueError: a version of the format that is unknown.
    """
    readers = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    version = np.lib.format.read_magic(file)
    if version not in readers:
        raise ValueError(f"the .npy format {version} is unknown")
    return readers[version](file)


def _read_header(file: BinaryIO | Any) -> tuple[tuple[int, ...], np.dtype]:
    shape, column_major, dtype = parse_header(file)
    if dtype.hasobject or dtype.names:
        raise ValueError("it holds objects, not numbers")
    if column_major and len(shape) > 1:
        raise ValueError("it is column-major (Fortran); save numpy.ascontiguousarray of it instead")
    return shape, dtype


def _check_complete(rows: NpyRows) -> NpyRows:
    if not rows.shape or min(rows.shape) < 1:
        raise ValueError(f"it is empty, its shape is {rows.shape}")
    need = rows.offset + rows.dtype.itemsize * math.prod(rows.shape)
    if os.path.getsize(rows.path) < need:
        raise ValueError(f"it is truncated; {rows.shape} of {rows.dtype} need {need} bytes")
    return rows
