"""Columns of tables: their names, forms and categories, and rows of a split."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from vae_jax.data import HostSource, Source
from vae_jax.evaluation.common import choose_examples
from vae_jax.likelihoods import Mixed, parse_columns
from vae_jax.nets.attributes import read_attribute
from vae_jax.types import Array, Batch

REAL, COUNT, BOOLEAN, ORDINAL, CATEGORY = "real", "count", "boolean", "ordinal", "category"
FORMS = {  # kinds of columns of `Mixed`; kinds that are not listed are real numbers
    "counts": COUNT,
    "poisson": COUNT,
    "zero_inflated": COUNT,
    "bernoulli": BOOLEAN,
    "ordinal": ORDINAL,
    "categorical": CATEGORY,
}


class NamedColumn(NamedTuple):
    """A column of a table for figures and errors."""

    name: str
    form: str = REAL  # REAL, COUNT, BOOLEAN, ORDINAL or CATEGORY
    categories: tuple[str, ...] = ()  # texts of the codes 0, 1, ... of the last three forms

    @property
    def is_discrete(self) -> bool:
        """True if the values are the codes of `categories`."""
        return self.form in (BOOLEAN, ORDINAL, CATEGORY)

    @property
    def is_ordered(self) -> bool:
        """True if the order of the values has a meaning."""
        return self.form != CATEGORY


class Rows(NamedTuple):
    """Rows of a split of a table."""

    x: np.ndarray  # [N, *E]
    observed: np.ndarray | None = None  # [N, *E], False for missing values; None if none is missing
    y: np.ndarray | None = None  # [N] or [N, C] labels

    @property
    def values(self) -> np.ndarray:
        """[N, D] float64, NaN for missing values."""
        x = np.asarray(self.x, np.float64)
        x = x if self.observed is None else np.where(self.observed, x, np.nan)
        return x.reshape(len(x), -1)

    def first(self, num: int) -> "Rows":
        """The first rows."""
        observed = None if self.observed is None else self.observed[:num]
        return Rows(self.x[:num], observed, None if self.y is None else self.y[:num])


def name_columns(likelihood: Any, num_columns: int, table: Any = None) -> tuple[NamedColumn, ...]:
    """The columns of a table by their likelihood; names and texts from its schema if it has one.

    Without a schema column 3 is 'column 3', and the texts of categories are their codes.

    Args:
      likelihood: the model's; a `Mixed` has a kind for each column.
      num_columns: D.
      table: the schema, `Dataset.table`, with `columns` that have `name` and `categories`.
    """
    schema: Sequence[Any] = () if table is None else table.columns
    if len(schema) != num_columns:
        schema = [None] * num_columns
    columns = []
    for number, ((form, size), entry) in enumerate(
        zip(_forms(likelihood, num_columns), schema, strict=True)
    ):
        texts = () if entry is None else tuple(map(str, entry.categories))
        if len(texts) != size:
            texts = tuple(map(str, range(size)))
        name = f"column {number}" if entry is None else str(entry.name)
        columns.append(NamedColumn(name, form, texts))
    return tuple(columns)


def _forms(likelihood: Any, num_columns: int) -> list[tuple[str, int]]:
    """The form of each column and its number of codes, 0 for numbers."""
    if isinstance(likelihood, Mixed):
        kinds = parse_columns(likelihood.columns)
        forms = [(FORMS.get(column.kind, REAL), column.categories) for column in kinds]
        return [
            (form, {BOOLEAN: 2, ORDINAL: size, CATEGORY: size}.get(form, 0)) for form, size in forms
        ]
    if read_attribute(likelihood, "binary"):
        return [(BOOLEAN, 2)] * num_columns
    form = COUNT if read_attribute(likelihood, "integers") else REAL
    return [(form, 0)] * num_columns


def read_table(source: Source | HostSource, limit: int) -> Rows:
    """At most `limit` rows of a split, random ones that are always the same."""
    index = choose_examples(source.num_examples, limit).astype(np.int32)
    if isinstance(source, HostSource):
        source, index = source.select(index), np.arange(len(index), dtype=np.int32)
    batch = _take(source, index, jax.random.key(0))
    parts = {name: np.asarray(batch[name]) for name in ("x", "observed", "y") if name in batch}
    return Rows(parts["x"], parts.get("observed"), parts.get("y"))


@jax.jit  # op by op, the source would be compiled as dozens of programs
def _take(source: Source, index: Array, key: Array) -> Batch:
    return source.take(index, key)
