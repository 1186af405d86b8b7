"""The schema of a table: kind and categories of each column, and the columns with a role.

>>> schema = TableSchema((TableColumn("age", "gaussian"),
...                       TableColumn("color", "categorical", ("blue", "green", "red"), "text")))
>>> schema.names, schema.kinds
(('age', 'color'), ('gaussian', 'categorical:3'))
>>> TableSchema.from_json(schema.to_json()) == schema
True
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple, Self

COUNTS = ("counts", "poisson", "zero_inflated")
CODED = ("bernoulli", "categorical", "ordinal")
KINDS = ("gaussian", "student_t", "positive", *COUNTS, *CODED)
ROLES = ("identifier", "split", "label", "ignore")
TYPES = ("number", "boolean", "text")
BOOLEANS = ("False", "True")  # categories of a column of booleans


class TableColumn(NamedTuple):
    """A modelled column."""

    name: str
    kind: str  # one of KINDS
    categories: tuple[str, ...] = ()  # texts of the codes 0, 1, ... of the coded kinds
    type: str = "number"  # type of the entries in the file, one of TYPES

    @property
    def spec(self) -> str:
        """The kind as an entry of `model.columns`: 'gaussian', 'categorical:3'."""
        has_number = self.kind in ("categorical", "ordinal")
        return f"{self.kind}:{len(self.categories)}" if has_number else self.kind


@dataclasses.dataclass(frozen=True)
class TableSchema:
    """The columns of a table in the order of the entries of x [N, C], and those with a role."""

    columns: tuple[TableColumn, ...]
    identifier: str | None = None  # kept for each row, not modelled
    split: str | None = None  # train, valid or test
    label: str | None = None  # y
    classes: tuple[str, ...] = ()  # texts of the labels 0, 1, ...; empty for numbers
    ignored: tuple[str, ...] = ()
    integer_ids: bool = False  # True if the identifiers are whole numbers, not texts

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the modelled columns."""
        return tuple(column.name for column in self.columns)

    @property
    def kinds(self) -> tuple[str, ...]:
        """The entries of `model.columns`: ("gaussian", "categorical:3", ...)."""
        return tuple(column.spec for column in self.columns)

    @property
    def text_columns(self) -> tuple[str, ...]:
        """The columns whose entries are texts, also if all of them look like numbers."""
        texts = [column.name for column in self.columns if column.type == "text"]
        return (*texts, *((self.identifier,) if self.identifier else ()))

    def to_json(self) -> dict[str, Any]:
        """The schema as JSON."""
        columns = [
            column._asdict() | {"categories": list(column.categories)} for column in self.columns
        ]
        texts = {"classes": list(self.classes), "ignored": list(self.ignored)}
        return dataclasses.asdict(self) | texts | {"columns": columns}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Rebuild from `to_json`, or from the JSON of `dataclasses.asdict`.

        Entries of a column other than its fields are ignored.

        Raises:
          KeyError, TypeError or ValueError: the values are no schema.
        """
        columns = tuple(_parse_column(entry) for entry in values["columns"])
        names = [column.name for column in columns]
        if not columns or len(set(names)) < len(names):
            raise ValueError(f"columns {names}")
        identifier, split, label = (
            _parse_name(values.get(role)) for role in ("identifier", "split", "label")
        )
        classes, ignored = (
            tuple(map(_check_text, values.get(key, ()))) for key in ("classes", "ignored")
        )
        integer_ids = values.get("integer_ids", False)
        if type(integer_ids) is not bool:
            raise TypeError(f"integer_ids = {integer_ids!r}")
        return cls(columns, identifier, split, label, classes, ignored, integer_ids)


def _parse_column(entry: Any) -> TableColumn:
    values = entry if isinstance(entry, Mapping) else dict(zip(TableColumn._fields, entry))  # noqa: B905
    name, kind = _check_text(values["name"]), _check_text(values["kind"])
    categories = tuple(map(_check_text, values.get("categories", ())))
    column = TableColumn(name, kind, categories, _check_text(values.get("type", "number")))
    fits = (len(categories) >= 2) == (kind in CODED) and len(set(categories)) == len(categories)
    if kind not in KINDS or column.type not in TYPES or not fits:
        raise ValueError(f"column {entry}")
    return column


def _parse_name(name: Any) -> str | None:
    return None if name is None else _check_text(name)


def _check_text(text: Any) -> str:
    if not isinstance(text, str):
        raise TypeError(f"{text!r} is not a text")
    return text
