"""Between data frames and rows x [N, C] of numbers."""

from typing import Any

import numpy as np

from vae_jax.data.labels import UNKNOWN
from vae_jax.data.optional import import_pandas
from vae_jax.data.tables.cells import Cells, first_row, read_cells, text_of
from vae_jax.data.tables.columns import encode_codes, encode_column
from vae_jax.data.tables.errors import Place
from vae_jax.data.tables.numeric import numbers_of
from vae_jax.data.tables.schema import CODED, COUNTS, TableColumn, TableSchema
from vae_jax.errors import Argument, InputError, suggest

INT64 = 18  # digits of a whole number that surely fits into 64 bits


def encode_frame(
    schema: TableSchema, frame: Any, *, missing: bool = False, place: Place | None = None
) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None]:
    """Rows of numbers from a data frame with the columns of a schema, in any order.

    Args:
      schema: the schema.
      frame: a pandas data frame, or one with the method `to_pandas`. Other columns are not read.
      missing: True if values may be missing.
      place: the name of the table in messages, and of its rows.

    Returns:
      x: float32 [N, C], with codes for categories and zeros for missing values.
      observed: bool [N, C], False for missing values; None without `missing`.
      ids: the identifiers [N], int64 or texts; None without such a column.

    Raises:
      InputError: no such column, an empty cell without `missing`, or an entry that its column does
        not allow; with the column, the row and the value.
    """
    place = place or Place()
    frame = as_frame(frame)
    check_names(schema.names, frame, place)
    x = np.zeros((len(frame), len(schema.columns)), np.float32)
    observed = np.ones(x.shape, bool)
    for number, column in enumerate(schema.columns):
        cells = read_cells(frame[column.name])
        if not missing:
            check_complete(column.name, cells, place)
        x[:, number] = encode_column(column, cells, place)
        observed[:, number] = ~cells.missing
    ids = encode_ids(schema, frame)
    return x, observed if missing else None, ids


def as_frame(frame: Any) -> Any:
    """The frame as one of pandas.

    Raises:
      InputError: no data frame, two columns of one name, or pandas is not installed.
    """
    pd = import_pandas()
    if not isinstance(frame, pd.DataFrame) and hasattr(frame, "to_pandas"):
        frame = frame.to_pandas()
    if not isinstance(frame, pd.DataFrame):
        raise InputError(f"frame: must be a data frame of pandas, not {type(frame).__name__}")
    if not all(isinstance(name, str) for name in frame.columns):
        frame = frame.rename(columns=str)
    if not frame.columns.is_unique:
        name = frame.columns[frame.columns.duplicated()][0]
        raise InputError(f"frame: two columns have the name {name!r}")
    return frame


def check_names(names: tuple[str, ...], frame: Any, place: Place) -> None:
    """Raises InputError for the first column that the frame lacks."""
    present = list(map(str, frame.columns))
    for name in names:
        if name not in frame.columns:
            rest = [other for other in present if other not in names]
            raise InputError(
                f"{place.name}: no column {name!r}; it has {', '.join(present)}"
                f"{suggest(name, rest)}"
            )


def check_complete(name: str, cells: Cells, place: Place) -> None:
    """Raises InputError, naming the first empty cell, if a value is missing."""
    row = first_row(cells.missing)
    if row is not None:
        count = int(cells.missing.sum())
        raise place.error(
            name,
            f"the cell is empty ({count} of {len(cells.missing)} are); set ",
            Argument("missing"),
            " = True for missing values, or fill or remove the row",
            row=row,
        )


def encode_ids(schema: TableSchema, frame: Any) -> np.ndarray | None:
    """The identifiers [N] of a data frame; None without such a column.

    As texts, or as int64 if the schema has whole numbers and all of these are.
    """
    if schema.identifier is None or schema.identifier not in frame.columns:
        return None
    ids = identifiers(frame[schema.identifier])
    return ids if schema.integer_ids else ids.astype(str)


def identifiers(series: Any) -> np.ndarray:
    """Identifiers [N] as int64 if all are whole numbers without leading zeros, else as texts."""
    pd = import_pandas()
    if pd.api.types.is_signed_integer_dtype(series.dtype) and not series.isna().any():
        return np.asarray(series.to_numpy(), np.int64)
    entries = series.astype(object).where(series.notna(), "").tolist()
    texts = [text_of(entry).strip() for entry in entries]
    is_whole = bool(texts) and all(map(_is_integer, texts))
    return np.array(texts, np.int64) if is_whole else np.array(texts, str)


def _is_integer(text: str) -> bool:
    digits = text.removeprefix("-")
    is_plain = digits.isdecimal() and digits.isascii() and len(digits) <= INT64
    return text == "0" or (is_plain and digits[0] != "0")


def encode_labels(
    schema: TableSchema, frame: Any, *, place: Place | None = None
) -> np.ndarray | None:
    """The labels y [N] of a data frame: int32 classes, -1 for empty cells, or float32 numbers.

    None without a label column. Raises InputError for a class that the schema lacks, or for an
    empty cell among numbers.
    """
    if schema.label is None:
        return None
    place = place or Place()
    frame = as_frame(frame)
    check_names((schema.label,), frame, place)
    cells = read_cells(frame[schema.label])
    if schema.classes:
        codes = encode_codes(schema.label, schema.classes, cells, place)
        return np.where(cells.missing, UNKNOWN, codes).astype(np.int32)
    check_complete(schema.label, cells, place)
    return numbers_of(schema.label, cells, place).astype(np.float32)


def decode_rows(schema: TableSchema, x: np.ndarray, *, observed: np.ndarray | None = None) -> Any:
    """A pandas data frame from rows x [N, C]: the inverse of `encode_frame`.

    Codes become the text, number or boolean of the nearest code; counts become the nearest whole
    numbers; other numbers stay float32. NaN, and entries that are not observed, become missing.

    Raises:
      InputError: x has another shape.
    """
    pd = import_pandas()
    x = np.asarray(x)
    if x.ndim != 2 or x.shape[1] != len(schema.columns):
        raise InputError(f"x has shape {x.shape}: must be [N, {len(schema.columns)}]")
    absent = np.isnan(x) if observed is None else np.isnan(x) | ~observed
    series = {
        column.name: _decode(column, x[:, number], absent[:, number])
        for number, column in enumerate(schema.columns)
    }
    return pd.DataFrame(series)


def _decode(column: TableColumn, x: np.ndarray, absent: np.ndarray) -> Any:
    """One column; its type does not depend on the rows, so that parts of a file agree."""
    pd = import_pandas()
    if column.kind in COUNTS:
        whole = np.where(absent, 0, np.round(x)).astype(np.int64)
        return pd.Series(whole, dtype="Int64").mask(absent)
    if column.kind not in CODED:
        return pd.Series(np.where(absent, np.nan, x).astype(np.float32))
    last = len(column.categories) - 1
    codes = np.clip(np.round(np.where(absent, 0, x)), 0, last).astype(np.int64)
    if column.type == "text":
        texts = np.array(column.categories, object)[codes]
        return pd.Series(texts, dtype="string").mask(absent)
    if column.type == "boolean":
        flags = np.array([text == "True" for text in column.categories])
        return pd.Series(flags[codes], dtype="boolean").mask(absent)
    numbers = np.array([float(text) for text in column.categories])
    if (numbers == np.round(numbers)).all():
        return pd.Series(numbers[codes].astype(np.int64), dtype="Int64").mask(absent)
    return pd.Series(np.where(absent, np.nan, numbers[codes]))
