"""The form of a CSV file: separator, names of columns, and a check of every line."""

import csv
import gzip
import logging
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from vae_jax.data.tables.cells import is_number
from vae_jax.errors import InputError

logger = logging.getLogger(__name__)

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
SAMPLE_LINES = 50  # lines from which the separator is told
QUOTE = "; a quote on this line is perhaps not closed"
BLOCK = 2**24  # bytes read at once
ENCODING = "utf-8-sig"  # UTF-8, with or without a byte-order mark


class Dialect(NamedTuple):
    """The separator, and the names of the columns from the first line."""

    separator: str
    names: tuple[str, ...]


def open_bytes(path: str) -> Any:
    """The file, decompressed if its name ends in .gz."""
    return gzip.open(path, "rb") if path.lower().endswith(".gz") else open(path, "rb")


def open_text(path: str) -> Any:
    """The same as text."""
    if path.lower().endswith(".gz"):
        return gzip.open(path, "rt", encoding=ENCODING, newline="")
    return open(path, encoding=ENCODING, newline="")


def read_dialect(path: str) -> Dialect:
    """Read the first lines of a file.

    Raises:
      InputError: it is empty, not UTF-8, or its first line does not name the columns.
    """
    lines = _first_lines(path)
    if not lines:
        raise InputError.of("path", path, "the file is empty")
    separator = _find_separator(lines)
    header = next(csv.reader(lines, delimiter=separator, skipinitialspace=True))
    names = tuple(name.strip() for name in header)
    if names[0] == "" and len(names) > 1:
        names = ("index", *names[1:])  # as pandas writes the index of a frame
    if any(map(is_number, names)):
        number = next(name for name in names if is_number(name))
        raise InputError.of(
            "path", path, f"the first line must name the columns, but has the number {number}"
        )
    for place, name in enumerate(names):
        if not name:
            raise InputError.of("path", path, f"column {place + 1} of the first line has no name")
        if name in names[:place]:
            first = names.index(name) + 1
            raise InputError.of(
                "path", path, f"columns {first} and {place + 1} have the same name, {name!r}"
            )
    if separator != ",":
        logger.info("%s: separated by %s", path, SEPARATORS[separator])
    return Dialect(separator, names)


def _first_lines(path: str) -> list[str]:
    lines: list[str] = []
    try:
        with open_text(path) as file:
            for line in file:
                if line.strip():
                    lines.append(line)
                if len(lines) == SAMPLE_LINES:
                    break
    except UnicodeError as error:
        raise InputError.of("path", path, f"not UTF-8 ({error}); save it as UTF-8") from error
    except (OSError, EOFError) as error:
        raise InputError.of("path", path, f"cannot be read ({error})") from error
    if any("\0" in line for line in lines):
        raise InputError.of("path", path, "not a text file: it contains zero bytes")
    return lines


def _find_separator(lines: list[str]) -> str:
    """The separator of most columns that divides all lines equally; else that of the first line."""
    widths = {}
    for separator in SEPARATORS:
        counts = [len(row) for row in csv.reader(lines, delimiter=separator)]
        widths[separator] = (len(set(counts)) == 1 and counts[0] > 1, counts[0])
    return max(widths, key=lambda separator: widths[separator])


def check_lines(path: str, dialect: Dialect) -> None:
    """Raises InputError, with the line, unless each line has a value for each column."""
    width = len(dialect.names)
    try:
        ragged = _scan_bytes(path, dialect.separator, width) or _scan_records(path, dialect)
    except UnicodeError as error:
        raise InputError.of("path", path, f"not UTF-8 ({error}); save it as UTF-8") from error
    except (OSError, EOFError, csv.Error) as error:
        raise InputError.of("path", path, f"cannot be read ({error})") from error
    line, count, hint = ragged
    if count != width:
        values = f"{count} value{'s' * (count != 1)}"
        raise InputError.of(
            "path",
            path,
            f"line {line} has {values}, but there are {width} columns; each line must have a value "
            f"for each column, perhaps an empty one, and texts with {SEPARATORS[dialect.separator]}"
            f' need quotes, "like this"{hint}',
        )


def _scan_records(path: str, dialect: Dialect) -> tuple[int, int, str]:
    """The first line with another number of values, that number, and a hint; as `_scan_bytes`."""
    width = len(dialect.names)
    for line, row in records(path, dialect):
        if len(row) != width:
            return line, len(row), QUOTE if any("\n" in text for text in row) else ""
    return 0, width, ""


def _scan_bytes(path: str, separator: str, width: int) -> tuple[int, int, str] | None:
    """The first line with another number of values, and that number; (0, width, "") without any.

    None if the file has quotes, which `records` must read.
    """
    first, rest = 1, b""
    with open_bytes(path) as file:
        while block := file.read(BLOCK):
            if b'"' in block:
                return None
            block = rest + block
            end = block.rfind(b"\n") + 1
            block, rest = block[:end], block[end:]
            counts, lengths = _count(block, separator)
            bad = (counts != width) & (lengths > 0)
            if bad.any():
                line = int(bad.argmax())
                return first + line, int(counts[line]), ""
            first += len(counts)
    if rest.strip() and (last := rest.count(separator.encode()) + 1) != width:
        return first, last, ""
    return 0, width, ""


def _count(block: bytes, separator: str) -> tuple[np.ndarray, np.ndarray]:
    """The number of values of each line, and its length without the end of line."""
    array = np.frombuffer(block, np.uint8)
    ends = np.flatnonzero(array == ord("\n"))
    separators = np.flatnonzero(array == ord(separator))
    counts = np.diff(np.searchsorted(separators, ends), prepend=0) + 1
    lengths = np.diff(ends, prepend=-1) - 1
    lengths -= (array[ends - 1] == ord("\r")) & (lengths > 0)
    return counts, lengths


def records(path: str, dialect: Dialect) -> Iterator[tuple[int, list[str]]]:
    """Yield the number of its first line and the values of each record, the header first."""
    with open_text(path) as file:
        reader = csv.reader(file, delimiter=dialect.separator, skipinitialspace=True)
        line = 1
        for row in reader:
            if row:
                yield line, row
            line = reader.line_num + 1


def line_of(path: str, dialect: Dialect, row: int) -> int:
    """The line of the file on which a row begins, both counted as people do: the header is 1."""
    for number, (line, _) in enumerate(records(path, dialect)):
        if number == row + 1:
            return line
    return row + 2
