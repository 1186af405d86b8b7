"""Likelihoods of tables: columns of different kinds, described in words such as 'gaussian*3' and 'categorical:5'."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from vae_jax import distributions
from vae_jax.distributions import LOGVAR_RANGE, Distribution, inverse_soft_clip, soft_clip
from vae_jax.errors import InputError, check_choice, format_value
from vae_jax.likelihoods.counts import LOG_MEAN_RANGE, learned_log_inverse_dispersion
from vae_jax.likelihoods.event import EventLayer, Likelihood
from vae_jax.types import Array

KINDS = ("gaussian", "bernoulli", "categorical", "counts")
SYNTAX = "each entry is KIND, or KIND*N for N such columns, KIND one of gaussian, bernoulli, categorical:CATEGORIES, counts"


class Column(NamedTuple):
    """What one column holds."""

    kind: str  # of KINDS
    categories: int = 1  # of a categorical one, 2 or more

    @property
    def num_params(self) -> int:
        """How many numbers it needs from the decoder."""
        return self.categories


def parse_columns(columns: Sequence[str] | str) -> tuple[Column, ...]:
    """The columns of a table, from ("gaussian*3", "bernoulli", "categorical:5", "counts"), or from one text with commas.

    'categorical:5' is one column that holds a code 0 .. 4; '*N' repeats any entry, so that 'categorical:5*2' are two of them.
    InputError, with the entry and the syntax, for anything else.
    """
    entries = columns.split(",") if isinstance(columns, str) else columns
    parsed = tuple(column for entry in entries for column in _entry(entry))
    if not parsed:
        raise InputError(f"columns = {format_value(columns)}: must name at least one; {SYNTAX}")
    return parsed


def _entry(entry: Any) -> tuple[Column, ...]:
    if not isinstance(entry, str):
        raise InputError(f"columns: {format_value(entry)} is not text; {SYNTAX}")
    head, star, times = entry.strip().partition("*")
    kind, colon, categories = head.strip().partition(":")
    check_choice("columns", kind, KINDS)
    repeat = _number(times, entry, 1, "the N of *N") if star else 1
    if kind == "categorical":
        return (Column(kind, _number(categories, entry, 2, "CATEGORIES")),) * repeat
    if colon:
        hint = f"{kind} takes no number after a colon; N such columns are '{kind}*N'"
        raise InputError(f"columns: {format_value(entry)}: {hint}")
    return (Column(kind),) * repeat


def _number(text: str, entry: str, least: int, what: str) -> int:
    text = text.strip()
    if not (text.isascii() and text.isdigit() and len(text) < 7 and int(text) >= least):
        raise InputError(
            f"columns: {format_value(entry)}: {what} must be a whole number from {least} to 999999; {SYNTAX}"
        )
    return int(text)


def check_table(columns: Sequence[str] | str, x: np.ndarray) -> None:
    """InputError, with the number of the column, where the rows ``[N, num_columns]`` hold what its kind has no mass on."""
    parsed = parse_columns(columns)
    if x.ndim != 2 or x.shape[1] != len(parsed):
        raise InputError(
            f"columns: there are {len(parsed)}, but the data have shape {x.shape}; it must be [N, {len(parsed)}]"
        )
    for number, column in enumerate(parsed):
        highest = {
            "gaussian": None,
            "bernoulli": 1,
            "categorical": column.categories - 1,
            "counts": np.inf,
        }[column.kind]
        values = x[:, number]
        if (
            highest is not None
            and not ((values >= 0) & (values <= highest) & (values == np.round(values))).all()
        ):
            end = "on" if column.kind == "counts" else f"to {highest}"
            allowed, span = f"whole numbers from 0 {end}", f"{values.min():g} to {values.max():g}"
            raise InputError(
                f"columns: column {number} is {column.kind}, which holds {allowed}; it has others, from {span}"
            )


class Mixed(Likelihood):
    """A table's likelihood, each column of its own kind; `columns` as for `parse_columns`.

    gaussian: predicted mean, and one sigma for the column, learned. bernoulli: predicted logit, for 0 and 1.
    categorical:CATEGORIES: predicted logits, for codes 0 .. CATEGORIES - 1. counts: negative binomial of predicted mean, with
    one inverse dispersion for the column, learned. InputError where the event isn't one of so many columns.
    """

    columns: Sequence[str] | str = ()

    @nn.compact
    def __call__(self, h: Array, lead: Sequence[int] | None = None) -> Distribution:
        columns = parse_columns(self.columns)
        if tuple(self.event_shape) != (len(columns),):
            raise InputError(
                f"columns: there are {len(columns)}, but the event has shape {tuple(self.event_shape)}"
            )
        ends = np.cumsum([column.num_params for column in columns])
        numbers = EventLayer((int(ends[-1]),))(h, lead)[..., 0]
        groups: dict[Column, list[int]] = {}
        for place, column in enumerate(columns):
            groups.setdefault(column, []).append(place)
        parts = []
        for column, places in groups.items():
            # [*lead, columns of this kind, numbers of each]
            chosen = numbers[
                ..., (ends[places, None] - column.num_params) + np.arange(column.num_params)
            ]
            parts.append(self._part(column, chosen))
        return distributions.Mixed(tuple(parts), tuple(map(tuple, groups.values())))

    def _part(self, column: Column, numbers: Array) -> Distribution:
        first = numbers[..., 0]
        if column.kind == "categorical":
            return distributions.Categorical(numbers)
        if column.kind == "bernoulli":
            return distributions.Bernoulli(first)
        if column.kind == "gaussian":
            init = nn.initializers.constant(inverse_soft_clip(jnp.zeros(()), *LOGVAR_RANGE))
            logvar = self.param("logvar", init, first.shape[-1:])
            return distributions.DiagGaussian(first, soft_clip(logvar, *LOGVAR_RANGE))
        log_r = learned_log_inverse_dispersion(self, first.shape[-1:])
        return distributions.NegativeBinomial(soft_clip(first, *LOG_MEAN_RANGE), log_r)
