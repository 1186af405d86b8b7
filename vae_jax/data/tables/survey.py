"""The schema of a data frame, with a description of each column."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from vae_jax.data.tables.cells import Cells, first_row, read_cells
from vae_jax.data.tables.columns import make_column
from vae_jax.data.tables.encoding import identifiers
from vae_jax.data.tables.errors import Place
from vae_jax.data.tables.inference import WORD_SPLITS, Finding, infer_kinds
from vae_jax.data.tables.overrides import Override
from vae_jax.data.tables.schema import KINDS, TableColumn, TableSchema
from vae_jax.errors import InputError, truncate

MAX_SHOWN = 40  # characters of categories in the description of a column
REASON = "override"


class Survey(NamedTuple):
    """The schema of a data frame, and the kind or role, content and reason of each column."""

    schema: TableSchema
    rows: list[dict[str, Any]]  # name, kind, content, missing, reason; by column


def survey_frame(frame: Any, overrides: Mapping[str, Override], place: Place) -> Survey:
    """Infer the schema of a data frame, with overrides.

    Raises:
      InputError: a column fits no kind, or not that of its override; or none is modelled.
    """
    cells = {str(name): read_cells(frame[name]) for name in frame.columns}
    kinds = {name: override.kind for name, override in overrides.items()}
    findings = infer_kinds(cells, place, kinds)
    findings |= {name: Finding(kind, REASON) for name, kind in kinds.items()}
    columns = {}
    for name, content in cells.items():
        if findings[name].kind in KINDS:
            categories = overrides[name].categories if name in overrides else ()
            columns[name] = make_column(name, findings[name].kind, content, place, categories)
    roles = {role: _named(findings, role) for role in ("identifier", "split", "label")}
    if not columns:
        reasons = "; ".join(f"{name!r}: {finding.reason}" for name, finding in findings.items())
        raise InputError(f"{place.name}: no column can be modelled: {truncate(reasons, 400)}")
    label = roles["label"]
    schema = TableSchema(
        tuple(columns.values()),
        **roles,
        classes=_classes(label, cells[label], place) if label else (),
        ignored=tuple(name for name in cells if findings[name].kind == "ignore"),
        integer_ids=_has_integers(frame, roles["identifier"]),
    )
    rows = [
        {
            "name": name,
            "kind": columns[name].spec if name in columns else findings[name].kind,
            "content": _describe_content(content, _texts(name, columns, schema)),
            "missing": int(content.missing.sum()),
            "reason": findings[name].reason,
        }
        for name, content in cells.items()
    ]
    return Survey(schema, rows)


def _named(findings: Mapping[str, Finding], role: str) -> str | None:
    return next((name for name, finding in findings.items() if finding.kind == role), None)


def _has_integers(frame: Any, identifier: str | None) -> bool:
    return identifier is not None and identifiers(frame[identifier]).dtype.kind == "i"


def _classes(label: str, cells: Cells, place: Place) -> tuple[str, ...]:
    """The classes of a label column; none for numbers with a fraction."""
    if cells.missing.all() or cells.type in ("date", "other"):
        raise place.error(label, "is the label, but holds neither numbers nor texts")
    if cells.type == "number" and not (cells.values == np.round(cells.values)).all():
        return ()
    return cells.categories


def split_rows(name: str, cells: Cells, place: Place) -> dict[str, np.ndarray]:
    """The rows [M] of each split, from the column of their names.

    Raises:
      InputError: an entry that names none, or no row of train.
    """
    splits = np.array([WORD_SPLITS.get(text.lower(), "") for text in cells.categories] + [""])
    codes = np.full(len(cells.missing), len(splits) - 1)
    places = {text: code for code, text in enumerate(cells.categories)}
    if cells.codes is not None:
        codes = np.array([*map(places.__getitem__, cells.texts), len(splits) - 1])[cells.codes]
    by_row = splits[codes]
    row = first_row(by_row == "")
    if row is not None:
        allowed = "must be train, valid or test"
        if cells.missing[row]:
            raise place.error(name, f"the cell is empty; {allowed}", row=row)
        place.fail(name, cells.text(row), f"names no split; {allowed}", row=row)
    rows = {split: np.flatnonzero(by_row == split) for split in ("train", "valid", "test")}
    if not len(rows["train"]):
        raise place.error(name, "no row is of train")
    return {split: index for split, index in rows.items() if len(index)}


def _texts(name: str, columns: Mapping[str, TableColumn], schema: TableSchema) -> tuple[str, ...]:
    """The categories of a column, or the classes of the label; empty if it has none."""
    if name == schema.label:
        return schema.classes
    return columns[name].categories if name in columns else ()


def _describe_content(cells: Cells, texts: tuple[str, ...]) -> str:
    """The texts, the range of numbers, or the number of different texts."""
    if texts:
        return truncate(", ".join(texts), MAX_SHOWN)
    if cells.codes is not None:
        return f"{len(cells.texts)} text{'s' * (len(cells.texts) != 1)}"
    if cells.type in ("number", "boolean") and len(cells.values):
        return f"{cells.values[0]:.6g} to {cells.values[-1]:.6g}"
    return ""
