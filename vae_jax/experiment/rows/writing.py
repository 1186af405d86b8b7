"""Writers of one file of answers, part by part: CSV, Parquet, .npz or lines of text.

Memory is constant.

The file appears under its name when it is complete; an interruption leaves nothing.
"""

import contextlib
import csv
import os
import pathlib
import shutil
import zipfile
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO, NamedTuple, Protocol

import numpy as np

from vae_jax.errors import InputError, suggest
from vae_jax.files import as_path, is_local, replace_atomically, temporary_folder

FORMATS = {".csv": "CSV", ".parquet": "Parquet", ".npz": "NumPy"}
LINES = {".smi": "SMILES", ".txt": "text"}  # one line of text for each row
FLAT = (".csv", ".parquet", *LINES)  # one value for each row and column
GROUP_ROWS = 2**16  # rows of a row group of Parquet
EXACT = 22  # powers of ten up to it are exact in float64


class Field(NamedTuple):
    """Values of some rows: a column of a table, or an array of an .npz file."""

    name: str
    values: Any  # an array [n] or [n, ...], or a pandas series [n]
    columns: tuple[str, ...] = ()  # names of the columns of values [n, C] in a table

    def take(self, count: int) -> "Field":
        """The first rows."""
        return self if len(self.values) == count else self._replace(values=self.values[:count])


class Writer(Protocol):
    """A file that grows by the fields of some rows at a time, always of the same names."""

    def write(self, fields: Sequence[Field]) -> None:
        """Append rows."""


def check_output(path: str | os.PathLike, *, overwrite: bool, lines: bool = False) -> pathlib.Path:
    """Return the path of a file to write; with `lines` also one of lines of text.

    Raises:
      InputError: an unknown format, a path in a bucket or where nothing can be written, or a file
        that exists.
    """
    where = as_path(os.path.expanduser(path), "output")
    if not is_local(where):
        raise InputError(f"output = {os.fspath(path)!r}: must be a local path")
    formats = FORMATS | LINES if lines else FORMATS
    if where.suffix.lower() not in formats:
        allowed = ", ".join(f"{suffix} ({name})" for suffix, name in formats.items())
        hint = suggest(where.suffix.lower(), formats)
        raise InputError(f"output = {os.fspath(path)!r}: must end with {allowed}{hint}")
    if where.is_dir():
        raise InputError(f"output = {os.fspath(path)!r}: is a folder; give the path of a file")
    parent = next(parent for parent in where.absolute().parents if parent.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        problem = "cannot be written to" if parent.is_dir() else "is not a folder"
        raise InputError(f"output = {os.fspath(path)!r}: {os.fspath(parent)!r} {problem}")
    if where.exists() and not overwrite:
        raise InputError(
            f"output = {os.fspath(path)!r}: exists; give another path, or --overwrite to replace it"
        )
    return where


def is_flat(path: pathlib.Path) -> bool:
    """True if the format of a file is a table, with one value for each row and column."""
    return path.suffix.lower() in FLAT


@contextlib.contextmanager
def open_writer(path: pathlib.Path) -> Iterator[Writer]:
    """Open a file that replaces `path` when the context ends without an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replace_atomically(path) as temporary:
        kind = path.suffix.lower()
        if kind == ".npz":
            with temporary_folder(path) as folder:
                arrays = _ArrayWriter(folder)
                yield arrays
                arrays.save(temporary)
        elif kind == ".csv":
            with open(temporary, "w", newline="", encoding="utf-8") as file:
                yield _CsvWriter(file)
        elif kind in LINES:
            with open(temporary, "w", newline="", encoding="utf-8") as file:
                yield _LineWriter(file)
        else:
            with _ParquetWriter(temporary) as parquet:
                yield parquet


class _CsvWriter:
    """A header and one line for each row; missing values are empty."""

    def __init__(self, file: Any) -> None:
        self._writer = csv.writer(file, lineterminator="\n")
        self._has_header = False

    def write(self, fields: Sequence[Field]) -> None:
        columns = flatten(fields)
        if not self._has_header:
            self._writer.writerow(columns)
            self._has_header = True
        self._writer.writerows(zip(*map(_printable, columns.values()), strict=True))


class _LineWriter:
    """The texts of the last field, one in each line."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def write(self, fields: Sequence[Field]) -> None:
        self._file.writelines(f"{text}\n" for text in fields[-1].values)


class _ParquetWriter:
    """Row groups of many rows; missing values are null."""

    def __init__(self, path: pathlib.Path) -> None:
        self._path = path
        self._parts: list[Any] = []
        self._writer: Any = None

    def __enter__(self) -> "_ParquetWriter":
        return self

    def write(self, fields: Sequence[Field]) -> None:
        import pyarrow

        arrays = {
            name: pyarrow.array(values, from_pandas=True)
            for name, values in flatten(fields).items()
        }
        self._parts.append(pyarrow.table(arrays))
        if sum(part.num_rows for part in self._parts) >= GROUP_ROWS:
            self._flush()

    def _flush(self) -> None:
        import pyarrow.parquet

        if not self._parts:
            return
        table = pyarrow.concat_tables(self._parts, promote_options="permissive")
        self._parts = []
        if self._writer is None:
            self._writer = pyarrow.parquet.ParquetWriter(self._path, table.schema)
        self._writer.write_table(table.cast(self._writer.schema))

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        try:
            if error is None:
                self._flush()
        finally:
            if self._writer is not None:
                self._writer.close()


class _ArrayWriter:
    """Arrays of an .npz file, each in a file of its own until the number of rows is known."""

    def __init__(self, folder: pathlib.Path) -> None:
        self._folder = folder
        self._parts: dict[str, list[tuple[np.dtype, tuple[int, ...]]]] = {}
        self._columns: dict[str, tuple[str, ...]] = {}

    def write(self, fields: Sequence[Field]) -> None:
        for name, values, columns in fields:
            values = _plain(values)
            parts = self._parts.setdefault(name, [])
            parts.append((values.dtype, values.shape))
            if columns:
                self._columns[name] = columns
            with open(self._body(name), "ab") as file:
                file.write(np.ascontiguousarray(values).tobytes())

    def save(self, path: pathlib.Path) -> None:
        """Write the .npz file."""
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
            for name in self._parts:
                with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as member:
                    self._copy(name, member)
            for name, columns in self._columns.items():
                with archive.open(zipfile.ZipInfo(f"{name}_columns.npy"), "w") as member:
                    np.lib.format.write_array(member, np.array(columns), allow_pickle=False)

    def _copy(self, name: str, member: Any) -> None:
        parts = self._parts[name]
        dtype = np.result_type(*{dtype for dtype, _ in parts})
        shape = (sum(shape[0] for _, shape in parts), *parts[0][1][1:])
        header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False}
        np.lib.format.write_array_header_1_0(member, header | {"shape": shape})
        with open(self._body(name), "rb") as body:
            if all(part == dtype for part, _ in parts):
                shutil.copyfileobj(body, member, 2**20)
                return
            for part, shape in parts:  # texts of other lengths
                member.write(_read(body, part, shape).astype(dtype).tobytes())

    def _body(self, name: str) -> pathlib.Path:
        return self._folder / f"{list(self._parts).index(name)}.bin"


def _read(file: BinaryIO, dtype: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
    size = dtype.itemsize * int(np.prod(shape))
    return np.frombuffer(file.read(size), dtype).reshape(shape)


def _plain(values: Any) -> np.ndarray:
    """The values in a dtype that .npy stores without pickle: objects as texts."""
    values = np.asarray(column_values(values))
    if values.dtype != object:
        return values
    return np.array(["" if value is None else str(value) for value in values])


def column_values(values: Any) -> np.ndarray:
    """A column as an array; one of pandas with missing values becomes objects, with None."""
    if isinstance(values, np.ndarray) or isinstance(values.dtype, np.dtype):
        return np.asarray(values)
    absent = values.isna()
    return (values.astype(object).where(~absent, None) if absent.any() else values).to_numpy(object)


def flatten(fields: Sequence[Field]) -> dict[str, np.ndarray]:
    """The columns [n] of fields: values [n, ...] become columns with their names, or NAME_0, ...

    Raises:
      InputError: two columns would have one name.
    """
    columns: dict[str, np.ndarray] = {}
    for name, values, names in fields:
        if values.ndim == 1:
            entries = {name: values}
        else:
            flat = np.asarray(values).reshape(len(values), -1)
            suffixes = names or tuple(map(str, range(flat.shape[1])))
            entries = {f"{name}_{suffix}": flat[:, i] for i, suffix in enumerate(suffixes)}
        if common := sorted(columns.keys() & entries.keys()):
            raise InputError(f"output: two columns would have the name {common[0]!r}; use .npz")
        columns |= entries
    return columns


def _printable(values: Any) -> list[Any]:
    """A column as CSV prints it: the shortest number with the same value; '' if missing."""
    values = column_values(values)
    if values.dtype.kind != "f":
        return ["" if value is None else value for value in values.tolist()]
    numbers = shorten(values).tolist()
    if not np.isnan(values).any():
        return numbers
    return ["" if number != number else number for number in numbers]


def shorten(values: np.ndarray) -> np.ndarray:
    """Floats as float64 with the fewest digits that still give the same float32.

    >>> shorten(np.float32([0.1, 2 / 3, 1234.5678])).tolist()
    [0.1, 0.6666667, 1234.5677]
    """
    with np.errstate(invalid="ignore"):  # a signaling NaN
        wide = values.astype(np.float64)
    if values.dtype.itemsize > 4:
        return wide
    with np.errstate(divide="ignore", invalid="ignore"):
        exponent = np.floor(np.log10(np.abs(wide)))
    inside = np.abs(exponent) <= EXACT - 9  # also excludes 0, infinity and NaN
    exponent = np.where(inside, exponent, 0)
    result = wide.copy()
    for digits in (9, 8, 7):
        power = digits - 1 - exponent
        up, down = 10.0 ** np.maximum(power, 0), 10.0 ** np.maximum(-power, 0)
        rounded = np.where(inside, np.rint(wide * up / down) * down / up, wide)
        same = rounded.astype(values.dtype) == values
        result = np.where(same, rounded, result)
    return result
