"""Warnings about the values of a table, by the names of its columns and the rows of its file."""

import logging
from collections.abc import Mapping

import numpy as np

from vae_jax.data.columns import Wording, survey_columns, warn_columns
from vae_jax.data.tables.errors import Place
from vae_jax.data.tables.schema import CODED, TableSchema

logger = logging.getLogger(__name__)

REAL = ("gaussian", "student_t")
SHOWN = 5  # categories named in one warning


def warn_table(
    schema: TableSchema,
    x: np.ndarray,
    observed: np.ndarray | None,
    rows: Mapping[str, np.ndarray],
    place: Place,
) -> None:
    """Warn about categories that train lacks, and about real columns, see `warn_columns`.

    Args:
      schema: the schema.
      x: encoded rows [N, C].
      observed: [N, C], False for missing values; None without any.
      rows: the rows of each split.
      place: the name of the table, and of its rows.
    """
    _warn_new_categories(schema, x, observed, rows, place)
    real = [number for number, column in enumerate(schema.columns) if column.kind in REAL]
    if not real:
        return
    wording = Wording(
        split=str,
        row=lambda split, row: place.describe_row(int(rows[split][row])),
        column=lambda number: repr(schema.columns[real[number]].name),
    )
    surveys = {}
    for split, index in rows.items():
        mask = None if observed is None else observed[np.ix_(index, real)]
        surveys[split] = survey_columns(x[np.ix_(index, real)], mask)
    warn_columns(surveys, place.name, wording)


def _warn_new_categories(
    schema: TableSchema,
    x: np.ndarray,
    observed: np.ndarray | None,
    rows: Mapping[str, np.ndarray],
    place: Place,
) -> None:
    for number, column in enumerate(schema.columns):
        if column.kind not in CODED:
            continue
        known = np.ones(len(x), bool) if observed is None else observed[:, number]
        train = rows["train"]
        seen = np.unique(x[train, number][known[train]]).astype(int)
        new = np.setdiff1d(np.unique(x[known, number]).astype(int), seen)
        if len(new):
            texts = ", ".join(repr(column.categories[code]) for code in new[:SHOWN])
            more = f" and {len(new) - SHOWN} more" if len(new) > SHOWN else ""
            logger.warning(
                "%s: column %r: no row of train has %s%s, whose probability is not learned",
                *(place.name, column.name, texts, more),
            )
