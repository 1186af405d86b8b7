"""Lines of .txt and .smi files, read one by one."""

import gzip
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple, Self

import numpy as np

from vae_jax.data.text.smiles import HEADERS, explain_malformed
from vae_jax.data.text.tokens import MOLECULES
from vae_jax.errors import InputError, format_value
from vae_jax.files import check_file

logger = logging.getLogger(__name__)

SMI = (".smi", ".smi.gz")  # a name may follow the molecule
SUFFIXES = (".txt", ".txt.gz", *SMI)
BOM = b"\xef\xbb\xbf"
SHOWN = 60  # characters of a line in a message


class Line(NamedTuple):
    """A line of a file that is not blank."""

    number: int  # in the file, from 1
    text: str
    name: str = ""  # what follows the molecule in its line


class Lines(NamedTuple):
    """The lines of a file."""

    texts: list[str]
    numbers: np.ndarray  # [N] in the file, from 1

    @classmethod
    def of(cls, lines: Sequence[Line]) -> Self:
        """The texts and numbers of lines."""
        return cls([line.text for line in lines], np.array([line.number for line in lines]))

    def describe(self, name: str) -> Callable[[int], str]:
        """The place of a line in messages, by its position."""
        return lambda position: f"{name}: line {self.numbers[position]}"


def is_text(path: str) -> bool:
    """True for the name of a file of lines."""
    return path.lower().endswith(SUFFIXES)


def check_path(path: str) -> None:
    """Raises InputError unless there is a file whose name is that of lines of text."""
    allowed = "a file of lines: .txt or .smi, also with .gz"
    if not path:
        raise InputError.of("path", path, f"must name {allowed}")
    check_file("path", path)
    if not is_text(path):
        hint = "; save the column of texts alone" if path.lower().endswith((".csv", ".tsv")) else ""
        raise InputError.of("path", path, f"must be the name of {allowed}{hint}")


def read_lines(path: str, kind: str) -> Lines:
    """All lines of a file; see `iterate_lines`.

    Raises:
      InputError: the file cannot be read, or has no lines with text.
    """
    lines = list(iterate_lines(path, kind))
    if not lines:
        raise InputError.of("path", path, "has no lines with text")
    return Lines.of(lines)


def lines_of_texts(texts: Sequence[str], kind: str, describe: Callable[[int], str]) -> Lines:
    """Lines in memory, by the rules of a file of lines; `numbers` are positions, from 0.

    `describe` gives the name of the text at a position, for messages.

    Raises:
      InputError: a blank text or, for an alphabet of molecules, one that cannot be SMILES.
    """
    rows = [text.encode(errors="surrogatepass") for text in texts]
    lines = []
    for position, row in enumerate(rows):
        try:
            if not row.strip():
                raise ValueError("is blank; leave it out")
            lines.append(_decode(row, kind, kind in MOLECULES))
        except ValueError as error:
            raise InputError(f"{describe(position)} {error}") from error
    return Lines(lines, np.arange(len(lines)))


def iterate_lines(path: str, kind: str) -> Iterator[Line]:
    """Yield the lines of a file that are not blank, without their ends.

    Of a .smi file, and for an alphabet of molecules, the text is the first field of each line, and
    what follows is the name; a first line that names this field, such as 'smiles', is omitted.

    Args:
      path: a .txt or .smi file, in UTF-8, also with .gz.
      kind: of the alphabet; for molecules, lines that cannot be SMILES are an error.

    Raises:
      InputError: no such file; or lines that are not UTF-8 or malformed, with the number of the
        first one and how many there are.
    """
    check_path(path)
    has_fields = kind in MOLECULES or path.lower().endswith(SMI)
    is_first = True
    try:
        with gzip.open(path, "rb") if path.lower().endswith(".gz") else open(path, "rb") as file:
            rows = enumerate(file, 1)
            for number, row in rows:
                row = row.removeprefix(BOM) if number == 1 else row
                if not row.strip():
                    continue
                is_header = is_first and has_fields and _names_field(row)
                is_first = False
                if is_header:
                    header = row.decode(errors="replace").strip()
                    place = f"{os.path.basename(path)}: line {number}"
                    logger.info("%s is a header, omitted: %r", place, header)
                    continue
                try:
                    text = _decode(row, kind, has_fields)
                except ValueError as error:
                    place = f"{os.path.basename(path)}: line {number}"
                    count = _count(rows, kind, has_fields)
                    raise InputError(f"{place} {error}{count}") from error
                yield Line(number, text, _name(row) if has_fields else "")
    except (OSError, EOFError) as error:
        raise InputError.of("path", path, f"not readable ({error})") from error


def _name(row: bytes) -> str:
    """What follows the first field of a row; '' if nothing does."""
    return "".join(part.decode().strip() for part in row.split(None, 1)[1:])


def _names_field(row: bytes) -> bool:
    """True if the first field of a row is the name of a column of molecules."""
    return row.split(None, 1)[0].lower() in HEADERS


def _decode(row: bytes, kind: str, has_fields: bool) -> str:
    """The text of a row that is not blank; raises ValueError with its fault."""
    try:
        text = row.decode()
    except UnicodeDecodeError as error:
        reason = f"byte {row[error.start]:#04x} at {error.start}"
        raise ValueError(f"is not UTF-8 ({reason}); save the file as UTF-8") from error
    if not has_fields:
        return text.rstrip("\r\n")
    text = row.split(None, 1)[0].decode()  # by ASCII alone, as blank lines are
    fault = explain_malformed(text) if kind in MOLECULES else None
    if fault is not None:
        raise ValueError(f"is {format_value(text, SHOWN)}, no SMILES: {fault}")
    return text


def _count(rows: Iterable[tuple[int, bytes]], kind: str, has_fields: bool) -> str:
    """The number of faulty lines, of which one is known and the others may be among `rows`."""
    count = 1
    for _, row in rows:
        try:
            if row.strip():
                _decode(row, kind, has_fields)
        except ValueError:
            count += 1
    return f" ({count} such lines)" if count > 1 else ""
