"""The kind or role of each column of a table, from its name and its entries.

The rules, in their order:

  ignore       no values, one value, dates, free text, or entries that are neither text nor number
  split        a name such as split or fold, and the values train, valid and test
  bernoulli    two values
  identifier   texts that all differ, or whole numbers that all differ under a name such as id
  ordinal      an order that the file knows; at most 10 numbers, each about 5 times, without 0
  categorical  at most 100 texts, each about twice
  counts       whole numbers from 0, or from near 0 for their mean
  positive     skewed numbers above 0 whose logarithms are not
  gaussian     other numbers
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from vae_jax.data.names import SPLIT_WORDS
from vae_jax.data.tables.cells import Cells
from vae_jax.data.tables.errors import Place
from vae_jax.data.tables.numeric import (
    MAX_EXACT,
    check_numbers,
    explain_resolution,
    looks_numeric,
)

MAX_CATEGORIES = 100
MAX_LEVELS = 10  # distinct numbers of an ordinal column
REPEATS = 5  # rows for each of these numbers
NUMERIC_SHARE = 0.5  # share of numbers above which the other texts are mistakes
SAMPLE = 1_000  # texts by which a column of different texts is told from numbers with units
SKEWED = 2.0  # skewness
SPLIT_NAMES = ("split", "fold", "set", "subset", "partition")
WORD_SPLITS = {word: split for split, words in SPLIT_WORDS.items() for word in words}
_IDENTIFIER = re.compile(
    r"(.*[\W_])?(id|uuid|guid|key|index|identifier|nr|no|nummer)\.?|row([\W_]*number)?|name", re.I
)


class Finding(NamedTuple):
    """The kind or role of a column, and the reason."""

    kind: str
    reason: str


def infer_kinds(
    cells: Mapping[str, Cells], place: Place, overrides: Mapping[str, str] | None = None
) -> dict[str, Finding]:
    """The finding of each column without an override, the kind or role by its name.

    Raises:
      InputError: a column mixes numbers and other texts.
    """
    overrides = overrides or {}
    findings = {
        name: infer_kind(name, column, place)
        for name, column in cells.items()
        if name not in overrides
    }
    for role in ("split", "identifier"):
        names = [name for name, finding in findings.items() if finding.kind == role]
        names.sort(key=lambda name: not names_identifier(name))
        keep = 0 if role in overrides.values() else 1
        for name in names[keep:]:
            other = next((n for n, kind in overrides.items() if kind == role), names[0])
            findings[name] = Finding("ignore", f"{findings[name].reason}; {other!r} is the {role}")
    return findings


def names_identifier(name: str) -> bool:
    """True for a name such as id, patient_id, key or row."""
    is_camel = re.search(r"[a-z](Id|ID)$", name) is not None
    return is_camel or _IDENTIFIER.fullmatch(name) is not None


def infer_kind(name: str, cells: Cells, place: Place) -> Finding:
    """The finding of one column by the rules above."""
    if cells.missing.all():
        return Finding("ignore", "no values")
    if cells.type == "date":
        return Finding("ignore", "dates; to model them, give numbers, such as days since the first")
    if cells.type == "other":
        return Finding("ignore", "entries are neither numbers nor texts")
    if name.strip().lower() in ("split", "fold") and cells.type == "number":
        return Finding("ignore", "numbers of splits; a split is named train, valid or test")
    if _is_split(name, cells):
        return Finding("split", "names the split of each row")
    distinct = len(cells.texts) if cells.codes is not None else len(cells.values)
    if distinct == 1:
        return Finding("ignore", f"one value, {cells.categories[0]}")
    if distinct == 2 and (cells.type != "text" or not cells.order):
        return Finding("bernoulli", "two values")
    count = int((~cells.missing).sum())
    if cells.type == "text":
        return _infer_text(name, cells, distinct, count, place)
    return _infer_number(name, cells, count)


def _is_split(name: str, cells: Cells) -> bool:
    if name.strip().lower() not in SPLIT_NAMES or cells.type != "text":
        return False
    return all(text.lower() in WORD_SPLITS for text in cells.texts)


def _infer_text(name: str, cells: Cells, distinct: int, count: int, place: Place) -> Finding:
    if cells.order:
        return Finding("ordinal", "the file knows the order")
    if distinct == count and (names_identifier(name) or not cells.missing.any()):
        sample = cells.texts[:SAMPLE]
        is_text = sum(map(looks_numeric, sample)) < NUMERIC_SHARE * len(sample)
        if is_text or names_identifier(name):
            return Finding("identifier", "all values differ")
    _check_not_mixed(name, cells, count, place)
    if distinct > min(MAX_CATEGORIES, count / 2):
        return Finding("ignore", f"free text, {distinct} values in {count} rows")
    return Finding("categorical", f"{distinct} texts")


def _check_not_mixed(name: str, cells: Cells, count: int, place: Place) -> None:
    """Raises InputError for a column of numbers with some other texts, or with commas."""
    assert cells.codes is not None
    numeric = np.array([*map(looks_numeric, cells.texts), False])
    share = numeric[cells.codes].sum() / count
    plain = np.array([text.isdigit() for text in cells.texts])
    is_code = len(cells.texts) <= 2 * MAX_LEVELS and plain[numeric[:-1]].all()  # '1', '2', 'A'
    if share > NUMERIC_SHARE and not is_code:
        check_numbers(name, cells, place)


def _infer_number(name: str, cells: Cells, count: int) -> Finding:
    values = cells.values
    whole = bool((values == np.round(values)).all())
    low, high = values[0], values[-1]
    if whole and len(values) == count and names_identifier(name):
        return Finding("identifier", "whole numbers that all differ, and the name")
    if cells.is_categorical and len(values) <= MAX_CATEGORIES:
        return Finding("categorical", f"{len(values)} categories by the type in the file")
    few = len(values) <= min(MAX_LEVELS, count / REPEATS)
    if few and (low < 0 or 0 not in values or not whole):
        return Finding("ordinal", f"{len(values)} numbers")
    if not whole:
        return _infer_real(cells, "numbers")
    if high > MAX_EXACT:
        return _infer_real(cells, "whole numbers beyond 2^24, where float32 rounds them")
    if low < 0:
        return _infer_real(cells, "whole numbers below and above 0")
    assert cells.numbers is not None
    if low <= 1 or low <= np.nanmean(cells.numbers) / 4:
        return Finding("counts", f"whole numbers from {low:g}")
    return _infer_real(cells, "whole numbers far from 0")


def _infer_real(cells: Cells, reason: str) -> Finding:
    assert cells.numbers is not None
    if problem := explain_resolution(cells.numbers):
        return Finding("ignore", problem)
    x = cells.numbers[np.isfinite(cells.numbers)]
    is_skewed = len(x) > 0 and x.min() > 0 and _skewness(x) > SKEWED
    if is_skewed and abs(_skewness(np.log(x))) < _skewness(x) / 2:
        return Finding("positive", f"{reason}, above 0 and skewed")
    return Finding("gaussian", reason)


def _skewness(x: np.ndarray) -> float:
    """The third standardized moment."""
    u = (x - x.mean()) / max(x.std(), 1e-300)
    return float(np.mean(u**3))
