"""Arrays whose rows stay on disk, or in the memory of the host, until they are asked for by index."""

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
    """What can be read row by row, in any order; `np.ndarray` is one. It can be pickled, for the processes that read it."""

    shape: tuple[int, ...]  # [N, *E]
    dtype: np.dtype

    def __getitem__(self, index: np.ndarray) -> np.ndarray:
        """The rows at index [n], as [n, *E]; OSError, with the name of the file, where they can't be read."""


@dataclasses.dataclass(frozen=True, eq=False)
class HostRows:
    """Some rows, each checked and converted when it is read."""

    rows: Rows
    convert: Callable[[np.ndarray], np.ndarray]  # n rows to n rows
    positions: np.ndarray | None = None  # which of the rows; None is all of them

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
        where = index if self.positions is None else self.positions[index]
        return self.convert(np.asarray(self.rows[where]))

    def select(self, positions: np.ndarray) -> Self:
        """Those of the rows at the given positions."""
        return dataclasses.replace(
            self, positions=positions if self.positions is None else self.positions[positions]
        )


@dataclasses.dataclass(frozen=True)
class NpyRows:
    """The rows of an array in a file, read one by one.

    Read, not mapped: of a mapped file that is cut short, or on a disk that fails, the system kills the process.
    """

    path: str
    offset: int  # of the first row, in bytes
    shape: tuple[int, ...]
    dtype: np.dtype

    def __getitem__(self, index: np.ndarray) -> np.ndarray:
        shape = (len(index), *self.shape[1:])
        size = self.dtype.itemsize * int(np.prod(self.shape[1:], dtype=np.int64))
        offsets = (self.offset + size * np.asarray(index, np.int64)).tolist()
        with open(
            self.path, "rb", buffering=0
        ) as file:  # again each time, so that a file that went away is missed
            descriptor = file.fileno()
            content = b"".join([os.pread(descriptor, size, offset) for offset in offsets])
        if len(content) != size * len(offsets):
            raise OSError(f"{self.path}: shorter than when the run began")
        return np.frombuffer(content, self.dtype).reshape(shape)


def open_npy(path: str) -> NpyRows:
    """The rows of a .npy file; InputError unless it is whole, of plain numbers and in row-major order."""
    try:
        with open(path, "rb") as file:
            shape, dtype = _header(file)
            return _whole(NpyRows(path, file.tell(), shape, dtype))
    except Exception as error:  # a damaged header comes as many types from numpy
        raise InputError(f"config.data.path: {path!r} can't be streamed: {error}") from error


def open_npz(path: str, key: str) -> NpyRows:
    """The rows of one array of an .npz file; InputError as for `open_npy`, and where it is compressed."""
    try:
        with zipfile.ZipFile(path) as archive:
            info = archive.getinfo(f"{key}.npy")
            if info.compress_type != zipfile.ZIP_STORED:
                raise ValueError(
                    f"{key} is compressed; write it with numpy.savez, or as {key}.npy into a folder"
                )
            with archive.open(info) as member:
                shape, dtype = _header(member)
                length = member.tell()
        with open(
            path, "rb"
        ) as file:  # the array follows a header of the archive, with a name and extra bytes
            file.seek(info.header_offset + 26)
            begin = file.tell() + 4 + sum(int.from_bytes(file.read(2), "little") for _ in range(2))
        return _whole(NpyRows(path, begin + length, shape, dtype))
    except Exception as error:  # of numpy and zipfile, as above
        raise InputError(f"config.data.path = {path!r}: can't be streamed: {error}") from error


def _header(file: BinaryIO | Any) -> tuple[tuple[int, ...], np.dtype]:
    readers = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    version = np.lib.format.read_magic(file)
    if version not in readers:
        raise ValueError(f"the .npy format {version} is unknown")
    shape, column_major, dtype = readers[version](file)
    if dtype.hasobject or dtype.names:
        raise ValueError("it holds objects, not numbers")
    if column_major and len(shape) > 1:
        raise ValueError("its order is column-major (Fortran); write numpy.ascontiguousarray of it")
    return shape, dtype


def _whole(rows: NpyRows) -> NpyRows:
    if not rows.shape or min(rows.shape) < 1:
        raise ValueError(f"it is empty, its shape is {rows.shape}")
    need = rows.offset + rows.dtype.itemsize * math.prod(rows.shape)
    if os.path.getsize(rows.path) < need:
        raise ValueError(f"it is cut short; {rows.shape} of {rows.dtype} need {need} bytes")
    return rows
