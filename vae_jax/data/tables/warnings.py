"""Warnings about the values of a table, by the names of its columns and the rows of its file."""

import logging
from collections.abc import Mapping

import numpy as np

from vae_jax.data.column_survey import survey_columns
from vae_jax.data.columns import Wording, warn_columns, warn_marks
from vae_jax.data.tables.errors import Place
from vae_jax.data.tables.schema import CODED, COUNTS, TableSchema

logger = logging.getLogger(__name__)

REAL = ("gaussian", "student_t")
SKEWED = ("positive", *COUNTS)  # kinds that have large values
SHOWN = 5  # categories named in one warning


def warn_table(
    schema: TableSchema,
    x: np.ndarray,
    observed: np.ndarray | None,
    rows: Mapping[str, np.ndarray],
    place: Place,
) -> None:
    """Warn about categories that train lacks, and about numbers, see `warn_columns`.

    Args:
      schema: the schema.
      x: encoded rows [N, C].
      observed: [N, C], False for missing values; None without any.
      rows: the rows of each split.
      place: the name of the table, and of its rows.

    Raises:
      InputError: train has no value of a column.
    """
    if observed is not None:
        _check_train(schema, observed[rows["train"]], place)
    _warn_new_categories(schema, x, observed, rows, place)
    for kinds, warn in ((REAL, warn_columns), (SKEWED, warn_marks)):
        some = [number for number, column in enumerate(schema.columns) if column.kind in kinds]
        if not some:
            continue
        names = [schema.columns[number].name for number in some]
        wording = Wording(
            split=str,
            row=lambda split, row: place.describe_row(int(rows[split][row])),
            column=lambda number, names=names: repr(names[number]),  # type: ignore[misc]
        )
        surveys = {}
        for split, index in rows.items():
            mask = None if observed is None else observed[np.ix_(index, some)]
            surveys[split] = survey_columns(x[np.ix_(index, some)], mask)
        warn(surveys, place.name, wording)


def _check_train(schema: TableSchema, observed: np.ndarray, place: Place) -> None:
    for column, count in zip(schema.columns, observed.sum(0), strict=True):
        if not count:
            raise place.error(
                column.name,
                "all values of train are missing; remove the column, or give it the kind 'ignore'",
            )


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
        mask = np.ones(len(x), bool) if observed is None else observed[:, number]
        train = rows["train"]
        train_codes = np.unique(x[train, number][mask[train]])
        new = np.setdiff1d(np.unique(x[mask, number]), train_codes).astype(int)
        if len(new):
            texts = ", ".join(repr(column.categories[code]) for code in new[:SHOWN])
            more = f" and {len(new) - SHOWN} more" if len(new) > SHOWN else ""
            logger.warning(
                "%s: column %r: no row of train has %s%s, whose probability is not learned",
                *(place.name, column.name, texts, more),
            )
