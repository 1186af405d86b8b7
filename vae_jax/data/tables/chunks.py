"""Reading a file in parts, in memory that does not depend on its number of rows."""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from vae_jax.data.tables.dialect import check_lines, read_dialect
from vae_jax.data.tables.encoding import encode_frame, encode_labels
from vae_jax.data.tables.errors import Place
from vae_jax.data.tables.reading import PARQUET, check_path, parquet_chunks, place_of, read_csv
from vae_jax.data.tables.schema import TableSchema
from vae_jax.errors import InputError, check_range


class Chunk(NamedTuple):
    """Consecutive rows of a file."""

    start: int  # number of the first row
    x: np.ndarray  # float32 [n, C]
    observed: np.ndarray | None  # bool [n, C]; None if no value may be missing
    ids: np.ndarray | None  # [n] identifiers
    y: np.ndarray | None  # [n] labels


def read_chunks(
    path: str, schema: TableSchema, chunk_size: int, *, missing: bool = False
) -> Iterator[Chunk]:
    """Yield the rows of a CSV or Parquet file in order, as `encode_frame` encodes them.

    Args:
      path: the file.
      schema: the schema of the training data, whose columns the file must have, in any order.
      chunk_size: rows read at once.
      missing: True if values may be missing.

    Raises:
      InputError: the file cannot be read, or does not fit the schema; for a wrong entry after the
        parts before it were yielded.
    """
    check_range("chunk_size", chunk_size, 1)
    start = 0
    for frame, place in _frames(path, schema, chunk_size):
        if not len(frame):
            continue
        x, observed, ids = encode_frame(schema, frame, missing=missing, place=_shift(place, start))
        y = None
        if schema.label in frame.columns:
            y = encode_labels(schema, frame, place=_shift(place, start))
        yield Chunk(start, x, observed, ids, y)
        start += len(frame)
    if not start:
        raise InputError.of("path", path, "has the names of columns, but no rows")


def _frames(path: str, schema: TableSchema, chunk_size: int) -> Iterator[tuple[Any, Place]]:
    check_path(path)
    if path.lower().endswith(PARQUET):
        place = place_of(path)
        for frame in parquet_chunks(path, chunk_size):
            yield frame, place
        return
    dialect = read_dialect(path)
    check_lines(path, dialect)
    place = place_of(path, dialect)
    texts = [name for name in schema.text_columns if name in dialect.names]
    with read_csv(path, dialect, texts=texts, chunksize=chunk_size) as reader:
        for frame in reader:
            yield frame, place


def _shift(place: Place, start: int) -> Place:
    """The same place for a part of the rows, from row `start` on."""
    describe: Callable[[int], str] = place.describe_row
    return dataclasses.replace(place, describe_row=lambda row: describe(start + row))
