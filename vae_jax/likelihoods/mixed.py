"""Likelihoods of tables with columns of different kinds, such as 'gaussian*3', 'categorical:5'."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from vae_jax import distributions
from vae_jax.distributions import LOGVAR_RANGE, Distribution, soft_clip
from vae_jax.errors import Argument, InputError, check_choice, format_value
from vae_jax.likelihoods.base import Likelihood
from vae_jax.likelihoods.counts import LOG_MEAN_RANGE, log_inverse_dispersion_param
from vae_jax.likelihoods.event import EventLayer, bounded_param
from vae_jax.types import Array

KINDS = ("gaussian", "bernoulli", "categorical", "counts")
SYNTAX = (
    "each entry is KIND, or KIND*N for N such columns; "
    "KIND is one of gaussian, bernoulli, categorical:CATEGORIES, counts"
)


class Column(NamedTuple):
    """The kind of one column."""

    kind: str  # one of KINDS
    categories: int = 1  # 2 or more for categorical columns

    @property
    def num_params(self) -> int:
        """Number of decoder outputs for the column."""
        return self.categories


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
    if kind == "categorical":
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
        if column.kind == "gaussian":
            continue
        ends = {"bernoulli": 1, "categorical": column.categories - 1, "counts": np.inf}
        highest = ends[column.kind]
        values = x[:, number] if observed is None else x[observed[:, number], number]
        if not ((values >= 0) & (values <= highest) & (values == np.round(values))).all():
            end = "on" if column.kind == "counts" else f"to {highest}"
            allowed = f"integers from 0 {end}"
            span = f"{values.min():g} to {values.max():g}"
            raise InputError(
                Argument("columns"),
                f": column {number} is {column.kind}, which allows {allowed}; "
                f"the data have other values, from {span}",
            )


class Mixed(Likelihood):
    """The likelihood of a table, with a kind for each column; `columns` as for `parse_columns`.

    gaussian: predicted mean, one learned sigma per column. bernoulli: predicted logit, for 0 and 1.
    categorical:CATEGORIES: predicted logits, for codes 0 .. CATEGORIES - 1. counts: negative
    binomial with predicted mean and one learned inverse dispersion per column. Raises InputError if
    the event has another number of columns.
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
            parts.append(self._part(column, numbers[..., index]))
        return distributions.Mixed(tuple(parts), tuple(map(tuple, groups.values())))

    @nn.nowrap
    def real_columns(self) -> list[bool]:
        return [column.kind == "gaussian" for column in parse_columns(self.columns)]

    @nn.nowrap
    def count_columns(self) -> list[bool]:
        return [column.kind == "counts" for column in parse_columns(self.columns)]

    @nn.nowrap
    def category_columns(self) -> list[int]:
        columns = parse_columns(self.columns)
        return [column.categories if column.kind == "categorical" else 0 for column in columns]

    def _part(self, column: Column, numbers: Array) -> Distribution:
        first = numbers[..., 0]
        if column.kind == "categorical":
            return distributions.Categorical(numbers)
        if column.kind == "bernoulli":
            return distributions.Bernoulli(first)
        if column.kind == "gaussian":
            init = jnp.zeros((), jnp.float32)
            logvar = bounded_param(self, "logvar", first.shape[-1:], init, LOGVAR_RANGE)
            return distributions.DiagGaussian(first, logvar)
        log_r = log_inverse_dispersion_param(self, first.shape[-1:])
        return distributions.NegativeBinomial(soft_clip(first, *LOG_MEAN_RANGE), log_r)
