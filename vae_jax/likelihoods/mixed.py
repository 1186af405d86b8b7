"""Likelihoods of tables with columns of different kinds, such as 'gaussian*3', 'categorical:5'."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from flax import linen as nn

from vae_jax import distributions
from vae_jax.distributions import Distribution
from vae_jax.distributions.mixed import select
from vae_jax.errors import Argument, InputError, check_choice, format_value
from vae_jax.likelihoods.base import Likelihood
from vae_jax.likelihoods.event import EventLayer
from vae_jax.likelihoods.kinds import KINDS, Values
from vae_jax.types import Array

_NAMES = ", ".join(f"{k}:CATEGORIES" if KINDS[k].has_categories else k for k in KINDS)
SYNTAX = f"each entry is KIND, or KIND*N for N such columns; KIND is one of {_NAMES}"


class Column(NamedTuple):
    """The kind of one column."""

    kind: str  # one of KINDS
    categories: int = 1  # 2 or more for categorical and ordinal columns

    @property
    def values(self) -> Values:
        """The values that the column has: reals, positive, counts or codes."""
        return KINDS[self.kind].values

    @property
    def num_codes(self) -> int:
        """The number of codes 0, 1, ... of a column of codes, else 0."""
        if self.values != "codes":
            return 0
        return KINDS[self.kind].num_codes or self.categories

    @property
    def num_params(self) -> int:
        """Number of decoder outputs for the column."""
        return KINDS[self.kind].num_params or self.num_codes


def parse_columns(columns: Sequence[str] | str) -> tuple[Column, ...]:
    """Parse the columns of a table, from strings or from one comma-separated string.

    An example is ("gaussian*3", "bernoulli", "categorical:5", "counts"). 'categorical:5' is one
    column of codes 0 .. 4; '*N' repeats any entry, so 'categorical:5*2' are two of them. Raises
    InputError, with the entry and the syntax, if it is invalid.
    """
    entries = columns.split(",") if isinstance(columns, str) else columns
    parsed = tuple(column for entry in entries for column in _entry(entry))
    if not parsed:
        raise InputError(
            Argument("columns"), f" = {format_value(columns)}: must name at least one; {SYNTAX}"
        )
    return parsed


def _entry(entry: Any) -> tuple[Column, ...]:
    if not isinstance(entry, str):
        raise InputError(Argument("columns"), f": {format_value(entry)} is not a string; {SYNTAX}")
    head, star, times = entry.strip().partition("*")
    kind, colon, categories = head.strip().partition(":")
    check_choice(Argument("columns"), kind, KINDS)
    repeat = _number(times, entry, 1, "the N of *N") if star else 1
    if KINDS[kind].has_categories:
        return (Column(kind, _number(categories, entry, 2, "CATEGORIES")),) * repeat
    if colon:
        hint = f"{kind} has no number after a colon; write N such columns as '{kind}*N'"
        raise InputError(Argument("columns"), f": {format_value(entry)}: {hint}")
    return (Column(kind),) * repeat


def _number(text: str, entry: str, least: int, noun: str) -> int:
    text = text.strip()
    if not (text.isascii() and text.isdigit() and len(text) < 7 and int(text) >= least):
        raise InputError(
            Argument("columns"),
            f": {format_value(entry)}: {noun} must be an integer from {least} to 999999; {SYNTAX}",
        )
    return int(text)


def check_table(
    columns: Sequence[str] | str, x: np.ndarray, observed: np.ndarray | None = None
) -> None:
    """Check that rows ``[N, num_columns]`` have mass under the kinds of their columns.

    Only the `observed` values, if given, are checked.
    Raises InputError with the number of the column.
    """
    parsed = parse_columns(columns)
    if x.ndim != 2 or x.shape[1] != len(parsed):
        raise InputError(
            Argument("columns"),
            f": there are {len(parsed)}, but the data have shape {x.shape}; "
            f"must be [N, {len(parsed)}]",
        )
    for number, column in enumerate(parsed):
        values = x[:, number] if observed is None else x[observed[:, number], number]
        if not _allows(column, values).all():
            raise InputError(
                Argument("columns"),
                f": column {number} is {column.kind}, which allows {_describe_values(column)}; "
                f"the data have other values, from {values.min():g} to {values.max():g}",
            )


def _allows(column: Column, x: np.ndarray) -> np.ndarray:
    """True where the column has mass or density."""
    if column.values == "reals":
        return np.ones(x.shape, bool)
    if column.values == "positive":
        return (x > 0) & (x < np.inf)
    highest = column.num_codes - 1 if column.num_codes else np.inf
    return (x >= 0) & (x <= highest) & (x == np.round(x))


def _describe_values(column: Column) -> str:
    if column.values == "positive":
        return "numbers above 0"
    return f"integers from 0 {f'to {column.num_codes - 1}' if column.num_codes else 'on'}"


class Mixed(Likelihood):
    """The likelihood of a table, with a kind for each column; `columns` as for `parse_columns`.

    Each column has a predicted location, and parameters that are learned, the same for all x:

    - gaussian: mean; learned sigma.
    - student_t: location; learned scale and degrees of freedom, for numbers with outliers.
    - positive: mean of log x; learned standard deviation of log x, for numbers above 0.
    - bernoulli: logit, for 0 and 1.
    - categorical:CATEGORIES: logits, for codes 0 .. CATEGORIES - 1.
    - ordinal:CATEGORIES: location on a logistic scale; learned thresholds, for codes in an order.
    - counts: mean of a negative binomial; learned inverse dispersion.
    - poisson: mean.
    - zero_inflated: mean of a negative binomial and probability of added zeros; learned inverse
      dispersion.

    Raises InputError if the event has another number of columns.
    """

    columns: Sequence[str] | str = ()

    @nn.compact
    def __call__(self, h: Array, lead: Sequence[int] | None = None) -> Distribution:
        columns = parse_columns(self.columns)
        if tuple(self.event_shape) != (len(columns),):
            raise InputError(
                Argument("columns"),
                f": there are {len(columns)}, but the event has shape {tuple(self.event_shape)}",
            )
        ends = np.cumsum([column.num_params for column in columns])
        numbers = EventLayer((int(ends[-1]),))(h, lead)[..., 0]
        groups: dict[Column, list[int]] = {}
        for place, column in enumerate(columns):
            groups.setdefault(column, []).append(place)
        parts = []
        for column, places in groups.items():
            # [*lead, columns of this kind, numbers of each]
            index = (ends[places, None] - column.num_params) + np.arange(column.num_params)
            make = KINDS[column.kind].make
            part = select(numbers, index.ravel()).reshape(*numbers.shape[:-1], *index.shape)
            parts.append(make(self, part, column.num_codes))
        return distributions.Mixed(tuple(parts), tuple(map(tuple, groups.values())))

    @nn.nowrap
    def real_columns(self) -> list[bool]:
        return self._columns_of("reals")

    @nn.nowrap
    def count_columns(self) -> list[bool]:
        return self._columns_of("counts")

    @nn.nowrap
    def positive_columns(self) -> list[bool]:
        return self._columns_of("positive")

    @nn.nowrap
    def category_columns(self) -> list[int]:
        columns = parse_columns(self.columns)
        return [column.categories if column.kind == "categorical" else 0 for column in columns]

    @nn.nowrap
    def _columns_of(self, values: Values) -> list[bool]:
        return [column.values == values for column in parse_columns(self.columns)]
