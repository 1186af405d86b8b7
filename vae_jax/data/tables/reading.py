"""CSV and Parquet files as pandas data frames."""

import functools
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from vae_jax.data.optional import import_pandas, import_parquet
from vae_jax.data.tables.cells import NA_VALUES
from vae_jax.data.tables.dialect import ENCODING, Dialect, check_lines, line_of, read_dialect
from vae_jax.data.tables.errors import Place
from vae_jax.data.tables.inference import names_identifier
from vae_jax.errors import InputError
from vae_jax.files import check_file
from vae_jax.memory import in_gigabytes, machine_memory

CSV = (".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz", ".txt.gz")
PARQUET = (".parquet", ".pq")
SAMPLE_ROWS = 1_000  # rows in which numbers with leading zeros, which are texts, are looked for


class Table(NamedTuple):
    """The content of a file."""

    frame: Any
    place: Place


def is_table(path: str) -> bool:
    """True for the name of a CSV or Parquet file."""
    return path.lower().endswith((*CSV, *PARQUET))


def read_table(path: str) -> Table:
    """Read all of a file.

    Raises:
      InputError: it cannot be read, has no rows, or its lines have different numbers of values.
    """
    check_path(path)
    if os.path.getsize(path) > machine_memory():
        raise InputError.of(
            "path",
            path,
            f"larger than the {in_gigabytes(machine_memory())} of this machine; train on a sample",
        )
    if path.lower().endswith(PARQUET):
        return _check_rows(Table(_read_parquet(path), place_of(path)), path)
    dialect = read_dialect(path)
    check_lines(path, dialect)
    frame = read_csv(path, dialect, texts=_text_columns(path, dialect))
    return _check_rows(Table(frame, place_of(path, dialect)), path)


def _check_rows(table: Table, path: str) -> Table:
    if not len(table.frame):
        raise InputError.of("path", path, "has the names of columns, but no rows")
    if not table.frame.columns.is_unique:
        name = table.frame.columns[table.frame.columns.duplicated()][0]
        raise InputError.of("path", path, f"two columns have the name {name!r}")
    return table


def check_path(path: str) -> None:
    """Raises InputError unless there is a file whose name is that of a CSV or Parquet file."""
    suffixes = "CSV (.csv, .tsv, .txt, also with .gz) or Parquet (.parquet) file"
    if not path:
        raise InputError.of("path", path, f"must name a {suffixes}")
    check_file("path", path)
    if not is_table(path):
        excel = "; in Excel, save it as CSV UTF-8" if re.search(r"\.xlsx?$", path, re.I) else ""
        raise InputError.of("path", path, f"must be the name of a {suffixes}{excel}")


def place_of(path: str, dialect: Dialect | None = None) -> Place:
    """The name of a file in messages, and of its rows: lines of a CSV file."""
    name = os.path.basename(path)
    if dialect is None:
        return Place(name)
    return Place(name, functools.partial(_describe_line, path, dialect))


def _describe_line(path: str, dialect: Dialect, row: int) -> str:
    return f"line {line_of(path, dialect, row)}"


def csv_options(dialect: Dialect, texts: Sequence[str]) -> Mapping[str, Any]:
    """Arguments of `pandas.read_csv`."""
    return {
        "sep": dialect.separator,
        "header": 0,
        "names": list(dialect.names),
        "index_col": False,
        "dtype": dict.fromkeys(texts, str),
        "na_values": NA_VALUES,
        "keep_default_na": False,
        "skipinitialspace": True,
        "encoding": ENCODING,
        "low_memory": False,
    }


def read_csv(path: str, dialect: Dialect, *, texts: Sequence[str], **options: Any) -> Any:
    """Read a file, or some of its rows, with some columns as texts.

    Raises:
      InputError: the file is not UTF-8 or not a readable CSV file.
    """
    pd = import_pandas()
    try:
        return pd.read_csv(path, **csv_options(dialect, texts), **options)
    except UnicodeError as error:
        raise InputError.of("path", path, f"not UTF-8 ({error}); save it as UTF-8") from error
    except (OSError, EOFError, ValueError) as error:  # ParserError is a ValueError
        raise InputError.of("path", path, f"not a readable CSV file ({error})") from error


def _text_columns(path: str, dialect: Dialect) -> list[str]:
    """The columns whose digits are texts: identifiers, and those with leading zeros."""
    sample = read_csv(path, dialect, texts=dialect.names, nrows=SAMPLE_ROWS)
    zeros = re.compile(r"\s*0\d+\s*")
    return [
        name
        for name in dialect.names
        if names_identifier(name)
        or any(isinstance(text, str) and zeros.fullmatch(text) for text in sample[name])
    ]


def _read_parquet(path: str) -> Any:
    import_parquet()
    pd = import_pandas()
    try:
        frame = pd.read_parquet(path, engine="pyarrow")
    except Exception as error:  # pyarrow raises many types
        raise _unreadable(path, error) from error
    return _with_names(frame)


def _with_names(frame: Any) -> Any:
    """The frame with an index that has a name as its first columns, and names without spaces."""
    if any(name is not None for name in frame.index.names):
        frame = frame.reset_index()
    return frame.set_axis([str(name).strip() for name in frame.columns], axis=1)


def _unreadable(path: str, error: Exception) -> InputError:
    return InputError.of("path", path, f"not a readable Parquet file ({error})")


def parquet_chunks(path: str, chunk_size: int) -> Iterator[Any]:
    """Yield the rows of a Parquet file as frames of at most `chunk_size` rows."""
    parquet = import_parquet()
    import_pandas()
    try:
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=chunk_size):
                yield _with_names(batch.to_pandas())
    except InputError:
        raise
    except Exception as error:  # pyarrow raises many types
        raise _unreadable(path, error) from error
