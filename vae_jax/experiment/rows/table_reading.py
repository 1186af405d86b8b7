"""Rows of CSV and Parquet files."""

import dataclasses
import itertools
import logging
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from vae_jax.data import Dataset
from vae_jax.data.inputs import Inputs
from vae_jax.data.labels import UNKNOWN
from vae_jax.data.names import canonical_name
from vae_jax.data.optional import import_parquet
from vae_jax.data.tables.chunks import read_chunks
from vae_jax.data.tables.dialect import open_bytes, read_dialect, records
from vae_jax.data.tables.inference import names_identifier
from vae_jax.data.tables.reading import PARQUET, check_path, parquet_chunks
from vae_jax.data.tables.schema import TableColumn, TableSchema
from vae_jax.errors import InputError, prefix_arguments, suggest
from vae_jax.experiment.rows.reading import Rows

logger = logging.getLogger(__name__)

BLOCK = 2**24  # bytes read at once
PART = 8192  # rows read at once


@dataclasses.dataclass(frozen=True)
class TableReader:
    """The rows of a CSV or Parquet file with the columns of a schema."""

    path: str
    schema: TableSchema
    missing: bool
    is_prepared: bool
    num_rows: int  # of a CSV file, its lines; records may have several
    has_labels: bool
    has_identifiers: bool
    keeps_cells: bool = False  # True to keep entries as they were read

    @property
    def identifier(self) -> str | None:
        """The name of the column of identifiers, None if rows are numbered."""
        return self.schema.identifier if self.has_identifiers else None

    def parts(self, size: int) -> Iterator[Rows]:
        cells = read_cells(self.path, size) if self.keeps_cells else itertools.repeat(None)
        with prefix_arguments("config.data", path="data"):
            chunks = read_chunks(self.path, self.schema, size, missing=self.missing)
            for chunk, columns in zip(chunks, cells, strict=False):
                if columns is not None and len(next(iter(columns.values()))) != len(chunk.x):
                    raise InputError.of("path", self.path, "has lines of spaces; remove them")
                y = chunk.y if self.has_labels else None
                if y is not None and self.schema.classes and (y == UNKNOWN).any():
                    row = chunk.start + int((y == UNKNOWN).argmax())
                    raise InputError(
                        f"data = {self.path!r}: row {row} (from 0) has no {self.schema.label!r}, "
                        "which the conditional model needs"
                    )
                yield Rows(chunk.start, chunk.x, y, chunk.observed, chunk.ids, columns)


def read_cells(path: str, size: int) -> Iterator[dict[str, Any]]:
    """Yield the columns of a file as they were read, `size` rows at a time.

    Texts of a CSV file, as arrays of objects; series of pandas of a Parquet file.
    """
    if path.lower().endswith(PARQUET):
        for frame in parquet_chunks(path, size):
            yield {str(name): frame[name] for name in frame.columns}
        return
    dialect = read_dialect(path)
    rows = (row for _, row in itertools.islice(records(path, dialect), 1, None))
    while part := list(itertools.islice(rows, size)):
        columns = np.array(part, object).T
        yield dict(zip(dialect.names, columns, strict=True))


def cells_of_split(path: str, dataset: Dataset) -> dict[str, Any] | None:
    """The columns of the test split of a table as they were read; None if rows can't be told."""
    assert dataset.table is not None
    assert dataset.row_ids is not None
    everything = np.concatenate(list(dataset.row_ids.values()))
    if len(np.unique(everything)) < len(everything):
        return None
    identifier, test = dataset.table.identifier, dataset.row_ids["test"]
    start, parts = 0, []
    for columns in read_cells(path, PART):
        size = len(next(iter(columns.values())))
        ids = start + np.arange(size)
        if identifier is not None:
            ids = np.asarray(columns[identifier]).astype(str)
            test = test.astype(str)
        parts.append({name: column[np.isin(ids, test)] for name, column in columns.items()})
        start += size
    if not all(isinstance(column, np.ndarray) for part in parts for column in part.values()):
        import pandas as pd

        return {name: pd.concat([part[name] for part in parts]) for name in parts[0]}
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def open_table(
    path: str, inputs: Inputs, *, is_conditional: bool, keeps_cells: bool = False
) -> TableReader:
    """Open a file with the columns of the training data, in any order, or unnamed ones in order.

    Raises:
      InputError: the file cannot be read, or columns are missing.
    """
    with prefix_arguments("config.data", path="data"):
        check_path(path)
        names = _names(path)
        schema = inputs.table
        if schema is None:
            schema = _name_columns(path, names, inputs, is_conditional=is_conditional)
        _check_names(path, names, schema)
        return TableReader(
            path,
            schema,
            inputs.missing,
            is_prepared=inputs.table is not None,
            num_rows=_count_rows(path),
            has_labels=is_conditional and schema.label in names,
            has_identifiers=schema.identifier in names,
            keeps_cells=keeps_cells,
        )


def _names(path: str) -> tuple[str, ...]:
    if not path.lower().endswith(PARQUET):
        return read_dialect(path).names
    parquet = import_parquet()
    try:
        schema = parquet.read_schema(path)
    except Exception as error:  # pyarrow raises many types
        raise InputError.of("path", path, f"not a readable Parquet file ({error})") from error
    return tuple(name.strip() for name in schema.names)


def _count_rows(path: str) -> int:
    if path.lower().endswith(PARQUET):
        return import_parquet().read_metadata(path).num_rows
    with open_bytes(path) as file:
        lines, last = 0, b"\n"
        while block := file.read(BLOCK):
            lines += block.count(b"\n")
            last = block[-1:]
    return max(lines - (last == b"\n"), 1)


def _check_names(path: str, names: Iterable[str], schema: TableSchema) -> None:
    """Raises InputError for all columns that are missing; logs what is not read."""
    known = {*schema.names, *schema.ignored, schema.identifier, schema.split, schema.label}
    extra = [name for name in names if name not in known]
    missing = [name for name in schema.names if name not in names]
    if missing:
        plural = "s" if len(missing) > 1 else ""
        others = f"; not of the training data are {', '.join(map(repr, extra))}" if extra else ""
        raise InputError(
            f"data = {path!r}: no column{plural} {', '.join(map(repr, missing))}{others}"
            f"{suggest(missing[0], extra)}"
        )
    if extra:
        logger.info("%s: not read, since not in the training data: %s", path, ", ".join(extra))
    if schema.identifier is not None and schema.identifier not in names:
        logger.info("%s: no column %r, so rows are numbered from 0", path, schema.identifier)


def _name_columns(
    path: str, names: tuple[str, ...], inputs: Inputs, *, is_conditional: bool
) -> TableSchema:
    """A schema of numbers for a model whose training data had no names.

    A column of identifiers, and of the labels of a conditional model, is known by its name.
    """
    if len(inputs.shape) != 1:
        raise InputError(f"data = {path!r}: the model was trained on images; use .npz or .npy")
    rest = list(names)
    label = identifier = None
    if len(rest) > inputs.shape[0]:
        identifier = next((name for name in rest if names_identifier(name)), None)
        rest = [name for name in rest if name != identifier]
    if len(rest) > inputs.shape[0] and is_conditional:
        roles = {name: (canonical_name(name) or ("", ""))[1] for name in rest}
        label = next((name for name, role in roles.items() if role == "labels"), None)
        rest = [name for name in rest if name != label]
    if len(rest) != inputs.shape[0]:
        raise InputError(
            f"data = {path!r}: has {len(rest)} columns, {', '.join(rest)}; the model was trained "
            f"on rows of {inputs.shape[0]}"
        )
    columns = tuple(TableColumn(name, "gaussian") for name in rest)
    return TableSchema(columns, identifier=identifier, label=label, classes=inputs.classes)
