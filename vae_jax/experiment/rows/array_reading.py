"""Rows of .npz and .npy files, read in their order and in parts, whether compressed or not."""

import contextlib
import logging
import math
import os
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, BinaryIO

import numpy as np

from vae_jax.data.array_files import read_path
from vae_jax.data.names import canonical_name
from vae_jax.data.rows import parse_header
from vae_jax.errors import InputError

logger = logging.getLogger(__name__)

ARRAYS = (".npz", ".npy")  # formats of which parts are read
PREFERRED = ("", "test", "valid", "train")  # splits in the order of preference; '' is none


class Member:
    """An array in an open file, of which the next rows can be read."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        """Read the header; raises ValueError for objects."""
        self.name = name
        self.shape, self.is_column_major, self.dtype = parse_header(file)
        self._file = file
        if self.dtype.hasobject or self.dtype.names:
            raise ValueError(f"{name} holds objects, not numbers or texts")
        if not self.shape:
            raise ValueError(f"{name} is a single value")

    def read(self, num_rows: int) -> np.ndarray:
        """The next rows; raises ValueError if the file ends before."""
        shape = (num_rows, *self.shape[1:])
        content = self._file.read(self.dtype.itemsize * math.prod(shape))
        try:
            return np.frombuffer(content, self.dtype).reshape(shape)
        except ValueError as error:
            raise ValueError(f"{self.name} is truncated") from error


class LoadedMember:
    """An array in memory with the interface of `Member`."""

    def __init__(self, array: np.ndarray, name: str) -> None:
        self.name, self.shape, self.dtype = name, array.shape, array.dtype
        self._array, self._start = array, 0

    def read(self, num_rows: int) -> np.ndarray:
        """The next rows."""
        self._start += num_rows
        return self._array[self._start - num_rows : self._start]


@contextlib.contextmanager
def open_arrays(path: str) -> Iterator[dict[str, Member | LoadedMember]]:
    """Open the arrays of one split of a file by role: "images", perhaps "labels" and "observed".

    Of several splits it is the one without a name, else test, and the log says so.

    Raises:
      InputError: the file cannot be read, or it has no array of rows.
    """
    suffix = os.path.splitext(path)[1].lower()
    with contextlib.ExitStack() as stack:
        if os.path.isdir(path) or suffix in (".h5", ".hdf5"):
            arrays = read_path(path)
            chosen = choose_arrays(arrays, path)
            yield {role: LoadedMember(np.asarray(arrays[n]), n) for role, n in chosen.items()}
            return
        if suffix not in ARRAYS:
            excel = "; in Excel, save it as CSV UTF-8" if suffix in (".xls", ".xlsx") else ""
            raise InputError(
                f"data = {path!r}: must be an .npz, .npy, .h5, CSV or Parquet file, or a folder "
                f"of .npy files or images{excel}"
            )
        try:
            members = _open_members(path, suffix, stack)
        except InputError:
            raise
        except Exception as error:  # numpy, zipfile and decompressors raise many types
            reason = str(error) or type(error).__name__
            raise InputError(
                f"data = {path!r}: not a readable {suffix} of plain arrays ({reason})"
            ) from error
        yield members


def _open_members(
    path: str, suffix: str, stack: contextlib.ExitStack
) -> dict[str, Member | LoadedMember]:
    if suffix == ".npy":
        file = stack.enter_context(open(path, "rb"))  # noqa: SIM115
        member = Member(file, os.path.basename(path))
        return {"images": _in_row_order(member, lambda: np.load(path, allow_pickle=False))}
    archive = stack.enter_context(zipfile.ZipFile(path))
    names = [name.removesuffix(".npy") for name in archive.namelist()]
    members: dict[str, Member | LoadedMember] = {}
    for role, name in choose_arrays(names, path).items():
        member = Member(stack.enter_context(archive.open(f"{name}.npy")), name)
        members[role] = _in_row_order(member, lambda name=name: np.load(path)[name])
    return members


def _in_row_order(member: Member, load: Any) -> Member | LoadedMember:
    """The member, in memory if its rows don't follow each other in the file."""
    if member.is_column_major and len(member.shape) > 1:
        return LoadedMember(load(), member.name)
    return member


def choose_arrays(names: Iterable[str] | Mapping[str, Any], path: str) -> dict[str, str]:
    """The name of the array of each role, of one split.

    Raises:
      InputError: no array has the name of rows, or two have.
    """
    names = list(names)
    candidates: dict[tuple[str, str], list[str]] = {}
    for name in names:
        split_and_role = canonical_name(name)
        if split_and_role is not None:
            candidates.setdefault(split_and_role, []).append(name)
    splits = [split for split in PREFERRED if (split, "images") in candidates]
    if not splits and len(names) == 1:
        return {"images": names[0]}
    if not splits:
        raise InputError(
            f"data = {path!r}: no array of rows; name it x, images or test_images; it has "
            f"{sorted(names)}"
        )
    chosen = {role: found for (split, role), found in candidates.items() if split == splits[0]}
    for found in chosen.values():
        if len(found) > 1:
            raise InputError(
                f"data = {path!r}: {' and '.join(map(repr, sorted(found)))} could each be the "
                "rows; rename or remove all but one"
            )
    result = {role: found[0] for role, found in chosen.items()}
    if len(splits) > 1:
        others = ", ".join(candidates[split, "images"][0] for split in splits[1:])
        logger.info("%s: reading %r, not %s", path, result["images"], others)
    return result
