"""Numbers of a column: what a kind allows, and texts that are no numbers."""

import re
from collections.abc import Sequence

import numpy as np

from vae_jax.data.tables.cells import Cells, first_row, is_number
from vae_jax.data.tables.errors import Place
from vae_jax.data.tables.schema import COUNTS

MAX_EXACT = 2**24  # whole numbers up to it are exact in float32
RESOLVED = 4  # steps of float32 that a standard deviation must have
MAX_FLOAT32 = float(np.finfo(np.float32).max)
_COMMA = re.compile(r"[+-]?[\d.' ]*\d,\d+")  # 3,14
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}([,' ]\d{3})+(\.\d+)?")  # 1,234.5
_UNIT = re.compile(r"[$€£¥]?\s*([+-]?[\d.,]*\d)\s*[%$€£¥]?")  # 12%


def numbers_of(column: str, cells: Cells, place: Place) -> np.ndarray:
    """The entries as float64 [N], NaN if missing; raises InputError, naming the first other one."""
    if cells.numbers is None:
        check_numbers(column, cells, place)
        table = np.array([*map(float, cells.texts), np.nan])  # '007' is a number if asked for
        return table[cells.codes]
    if cells.type in ("date", "other"):
        raise place.error(column, "holds dates or other objects, not numbers")
    return cells.numbers


def check_numbers(column: str, cells: Cells, place: Place) -> None:
    """Raises InputError, naming the first cell, if some texts are not numbers."""
    bad = np.array([not _is_float(text) for text in cells.texts] + [False])
    row = first_row(bad[cells.codes])
    if row is None:
        return
    text = cells.text(row)
    share = f"; {int((~bad)[cells.codes].sum() - cells.missing.sum())} of {len(cells.missing)} are"
    problem = _explain(text, [other for other in cells.texts if "," in other])
    place.fail(column, text, f"is not a number{problem or share}", row=row)


def explain_resolution(x: np.ndarray) -> str:
    """The reason why float32 cannot tell numbers [N] apart, NaN if missing; '' if it can."""
    x = x[np.isfinite(x)]
    if not len(x):
        return ""
    mean, spread = float(x.mean()), float(x.std())
    with np.errstate(over="ignore"):
        step = float(np.spacing(np.float32(abs(mean))))
    if not 0 < spread < RESOLVED * step:
        return ""
    return (
        f"values around {mean:g} with a standard deviation of {spread:.3g}, and float32 has steps "
        f"of {step:g} there; subtract {mean:.0f} from them first"
    )


def _is_float(text: str) -> bool:
    return is_number(text) or is_number(text.lstrip("+-0") or "0")


def _explain(text: str, with_comma: Sequence[str]) -> str:
    """The remedy for a text that is nearly a number; '' without one.

    A comma is between thousands if those of all texts `with_comma` may be.
    """
    if _THOUSANDS.fullmatch(text) and all(map(_THOUSANDS.fullmatch, with_comma)):
        digits = re.sub("[,' ]", "", text)
        return f"; write it without separators between thousands, {digits}"
    if _COMMA.fullmatch(text):
        decimal = re.sub("[.' ]", "", text).replace(",", ".")
        return f"; write it with a decimal point, {decimal}"
    if match := _UNIT.fullmatch(text):
        return f"; write it without a unit, {match[1]}"
    return ""


def looks_numeric(text: str) -> bool:
    """True for numbers, and for numbers with commas or a sign such as %."""
    return is_number(text) or any(
        pattern.fullmatch(text) is not None for pattern in (_COMMA, _THOUSANDS, _UNIT)
    )


def to_float32(column: str, cells: Cells, kind: str, place: Place) -> np.ndarray:
    """The entries as float32 [N] that a kind allows, with zeros for missing ones.

    Raises:
      InputError: naming the first cell that is infinite, too large for float32, not positive, or
        not a count.
    """
    numbers = np.where(cells.missing, 0.0, numbers_of(column, cells, place))
    with np.errstate(over="ignore"):
        x = numbers.astype(np.float32)
    problems = [(~np.isfinite(numbers), "is infinite; correct it, or leave the cell empty")]
    problems += [(~np.isfinite(x), f"is too large for float32, {MAX_FLOAT32:.3g} at most")]
    if kind == "positive":
        problems += [(x <= 0, "is not above 0, as the kind 'positive' needs")]
    if kind in COUNTS:
        problems += [
            ((numbers < 0) | (numbers != np.round(numbers)), f"is not a count, as {kind!r} needs"),
            (numbers > MAX_EXACT, "is above 2^24, from where float32 cannot count in steps of 1"),
        ]
    for mask, problem in problems:
        row = first_row(mask & ~cells.missing)
        if row is not None:
            place.fail(column, cells.text(row), problem, row=row)
    return x
