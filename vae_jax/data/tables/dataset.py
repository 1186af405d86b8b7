"""A data set from a CSV or Parquet file."""

import dataclasses
import hashlib
import json
import logging
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from vae_jax.data.prepare import from_arrays
from vae_jax.data.sources import ArraySource, Dataset
from vae_jax.data.splits import MIN_ROWS, complete_splits, distinct_splits
from vae_jax.data.tables.cells import read_cells
from vae_jax.data.tables.chunks import read_chunks
from vae_jax.data.tables.encoding import encode_frame, encode_ids, encode_labels
from vae_jax.data.tables.errors import Place
from vae_jax.data.tables.overrides import Override, read_overrides
from vae_jax.data.tables.reading import Table, read_table
from vae_jax.data.tables.schema import TableSchema
from vae_jax.data.tables.survey import split_rows, survey_frame
from vae_jax.data.tables.warnings import warn_table
from vae_jax.errors import InputError

logger = logging.getLogger(__name__)

CHUNK_SIZE = 100_000  # rows read at once


def load_table(
    path: str,
    *,
    name: str = "",
    schema: str = "",
    missing: bool = False,
    valid_fraction: float = 0.1,
) -> Dataset:
    """Read a table into a data set for the likelihood `mixed`.

    Args:
      path: a CSV or Parquet file.
      name: name of the data set; the name of the file if empty.
      schema: a JSON file that overrides the kinds of columns, see `overrides`.
      missing: True if values may be missing.
      valid_fraction: fraction of train used for validation if no column names it.

    Raises:
      InputError: the file cannot be read, or an entry fits no kind, or not that of its override.
    """
    table = read_table(os.path.expanduser(path))
    overrides = read_overrides(os.path.expanduser(schema), map(str, table.frame.columns))
    name = name or f"table {os.path.basename(path)}"
    return make_dataset(table, overrides, name=name, missing=missing, valid_fraction=valid_fraction)


def make_dataset(
    table: Table,
    overrides: Mapping[str, Override],
    *,
    name: str,
    missing: bool = False,
    valid_fraction: float = 0.1,
    rows: Mapping[str, np.ndarray] | None = None,
    needs_test: bool = True,
) -> Dataset:
    """Make a data set of a table that was read.

    Args:
      table: a data frame, and the names of its rows in messages.
      overrides: of the kinds of columns.
      name, missing, valid_fraction: as for `load_table`.
      rows: the rows [M] of some splits, in place of a column that names them.
      needs_test: as for `complete_splits`.

    Raises:
      InputError: as of `load_table`.
    """
    if len(table.frame) < MIN_ROWS:
        raise InputError(
            f"{table.place.name}: has {len(table.frame)} row{'s' * (len(table.frame) > 1)}; at "
            f"least {MIN_ROWS} are needed for training, validation and testing"
        )
    survey = survey_frame(table.frame, overrides, table.place)
    x, observed, _ = encode_frame(survey.schema, table.frame, missing=missing, place=table.place)
    y = encode_labels(survey.schema, table.frame, place=table.place)
    given = _given_rows(survey.schema, table) if rows is None else rows
    rows, rules = complete_splits(
        given,
        y,
        valid_fraction,
        given_rule="as given" if survey.schema.split is None else f"column {survey.schema.split!r}",
        name=table.place.name,
        needs_test=needs_test,
    )
    distinct = {split: rows[split] for split in distinct_splits(rules)}
    warn_table(survey.schema, x, observed, distinct, table.place)
    arrays = _arrays(x, observed, y, rows)
    dataset = from_arrays(arrays, name=name, missing=missing, has_schema=True)
    preparation = dataset.preparation | rules
    schema_json = json.dumps(survey.schema.to_json(), sort_keys=True)
    digest = f"{preparation['sha256']} {schema_json}"  # other texts of equal codes are other data
    preparation["sha256"] = hashlib.sha256(digest.encode()).hexdigest()
    preparation["table"] = survey.schema.to_json() | {"description": survey.rows}
    if survey.schema.classes:
        preparation["classes"] = list(survey.schema.classes)
    return dataclasses.replace(
        dataset,
        preparation=preparation,
        table=survey.schema,
        row_ids=_row_ids(survey.schema, table.frame, rows, table.place),
    )


def load_rows(path: str, schema: TableSchema, *, missing: bool = False) -> ArraySource:
    """Read the rows of a table with the columns of a schema; see `read_chunks`."""
    chunks = list(read_chunks(os.path.expanduser(path), schema, CHUNK_SIZE, missing=missing))
    x = np.concatenate([chunk.x for chunk in chunks])
    y = _concatenate([chunk.y for chunk in chunks])
    observed = _concatenate([chunk.observed for chunk in chunks])
    return ArraySource(x, y, value_range=(float(x.min()), float(x.max())), observed=observed)


def _concatenate(parts: list[np.ndarray | None]) -> np.ndarray | None:
    arrays = [part for part in parts if part is not None]
    return np.concatenate(arrays) if arrays else None


def _given_rows(schema: TableSchema, table: Table) -> dict[str, np.ndarray]:
    """The rows of the splits that a column names; all are of train without such a column."""
    if schema.split is None:
        return {"train": np.arange(len(table.frame))}
    return split_rows(schema.split, read_cells(table.frame[schema.split]), table.place)


def _arrays(
    x: np.ndarray,
    observed: np.ndarray | None,
    y: np.ndarray | None,
    rows: Mapping[str, np.ndarray],
) -> dict[str, np.ndarray]:
    """The arrays of each split, under the names that `from_arrays` knows."""
    arrays = {"images": x, "observed": observed, "labels": y}
    return {
        f"{split}_{role}": values[index]
        for split, index in rows.items()
        for role, values in arrays.items()
        if values is not None
    }


def _row_ids(
    schema: TableSchema, frame: Any, rows: Mapping[str, np.ndarray], place: Place
) -> dict[str, np.ndarray]:
    """The identifier of each row, by split; its number in the file if no column has one."""
    ids = encode_ids(schema, frame)
    if ids is None:
        ids = np.arange(len(frame))
    repeated = len(ids) - len(np.unique(ids))
    if repeated:
        logger.warning(
            "%s: column %r: %d of %d identifiers repeat another",
            *(place.name, schema.identifier, repeated, len(ids)),
        )
    return {split: ids[index] for split, index in rows.items()}
