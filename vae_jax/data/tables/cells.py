"""The entries of one column, from any of the types that pandas has, in one of five forms."""

import dataclasses
import datetime
import decimal
import functools
import re
from typing import Any, Literal, TypeAlias

import numpy as np

from vae_jax.data.optional import import_pandas
from vae_jax.data.tables.schema import BOOLEANS

MISSING = ("", "NA", "N/A", "#N/A", "NaN", "NULL", "?")  # texts of missing values, in any case
NA_VALUES = sorted({form for text in MISSING for form in (text, text.lower(), text.upper())})
NA_VALUES += ["Null", "Nan"]
_MISSING_FOLDED = {text.casefold() for text in MISSING}
_NUMBER = re.compile(r"[+-]?((0|[1-9]\d*)(\.\d*)?|\.\d+)([eE][+-]?\d+)?|[+-]?inf(inity)?", re.I)
_DATE = re.compile(
    r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}([T ]\S.*)?"  # 2024-03-01, 2024-03-01T12:00
    r"|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}( \S.*)?"  # 1/3/2024
    r"|\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?( ?[ap]m)?",  # 12:00:59
    re.I,
)
EXACT = 2**53  # whole numbers of a float64 are exact up to it
Type: TypeAlias = Literal["number", "boolean", "text", "date", "other"]


@dataclasses.dataclass(frozen=True, eq=False)
class Cells:
    """The N entries of a column."""

    type: Type
    numbers: np.ndarray | None = None  # [N] float64 of numbers and booleans, NaN if missing
    codes: np.ndarray | None = None  # [N] of texts: the place in `texts`, -1 if missing
    texts: tuple[str, ...] = ()  # distinct texts, in their order in the column
    order: tuple[str, ...] = ()  # categories in order, if the file knows it
    is_categorical: bool = False  # True if the file says that these are categories

    @functools.cached_property
    def missing(self) -> np.ndarray:
        """[N], True for missing values."""
        if self.codes is not None:
            return self.codes < 0
        assert self.numbers is not None
        return np.isnan(self.numbers)

    @functools.cached_property
    def values(self) -> np.ndarray:
        """The distinct numbers [M] in ascending order, without missing ones."""
        assert self.numbers is not None
        values = np.unique(self.numbers)
        return values[~np.isnan(values)]

    @functools.cached_property
    def categories(self) -> tuple[str, ...]:
        """The distinct values as texts: numbers in ascending order, texts in that of the file.

        Texts are sorted if the file knows no order.
        """
        if self.codes is not None:
            return self.order or tuple(sorted(self.texts))
        if self.type == "boolean":
            return tuple(BOOLEANS[int(value)] for value in self.values)
        return tuple(map(text_of, self.values.tolist()))

    def text(self, row: int) -> str:
        """The entry of a row as a text; '' if it is missing."""
        if self.missing[row]:
            return ""
        if self.codes is not None:
            return self.texts[self.codes[row]]
        value = self.numbers[row]  # type: ignore[index]
        return BOOLEANS[int(value)] if self.type == "boolean" else text_of(float(value))


def first_row(mask: np.ndarray) -> int | None:
    """The first row of a mask [N]; None if it has none."""
    return int(mask.argmax()) if mask.any() else None


def text_of(value: Any) -> str:
    """The text of a category: '3' for 3 and 3.0, '0.5' for 0.5, 'True' for True."""
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, bool | np.bool_):
        return BOOLEANS[int(value)]
    if not isinstance(value, float | np.floating):
        return str(value)
    number = float(value)
    return str(int(number)) if abs(number) < EXACT and number.is_integer() else repr(number)


def is_number(text: str) -> bool:
    """True for the text of a number; '007' is none, for it would lose its zeros."""
    return _NUMBER.fullmatch(text) is not None


def is_missing(text: str) -> bool:
    """True for a text that stands for a missing value."""
    return text.casefold() in _MISSING_FOLDED


def read_cells(series: Any) -> Cells:
    """The entries of a pandas series."""
    pd = import_pandas()
    types = pd.api.types
    dtype = series.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        cells = read_cells(series.astype(object))
        order = tuple(text_of(category).strip() for category in dtype.categories)
        if dtype.ordered and cells.type == "text":
            return dataclasses.replace(cells, order=order)
        return dataclasses.replace(cells, is_categorical=not dtype.ordered)
    if types.is_bool_dtype(dtype):
        return Cells("boolean", _to_floats(series))
    if types.is_complex_dtype(dtype):
        return Cells("other", np.zeros(len(series)))
    if types.is_integer_dtype(dtype) and _is_rounded(series):
        codes, distinct = pd.factorize(series)
        return Cells("text", codes=codes, texts=tuple(map(str, distinct)))
    if types.is_numeric_dtype(dtype):
        return Cells("number", _to_floats(series))
    is_date = types.is_datetime64_any_dtype(dtype) or types.is_timedelta64_dtype(dtype)
    if is_date or isinstance(dtype, pd.PeriodDtype):
        return Cells("date", np.where(series.isna(), np.nan, 0.0))
    try:
        codes, distinct = pd.factorize(series.astype(object))
    except TypeError:  # lists and dictionaries have no hash
        return Cells("other", np.where(series.isna(), np.nan, 0.0))
    return _of_objects(codes, list(distinct))


def _is_rounded(series: Any) -> bool:
    """True for whole numbers that a float64 cannot hold, such as long identifiers."""
    return (
        bool((series.max() > EXACT) or (series.min() < -EXACT)) if series.notna().any() else False
    )


def _to_floats(series: Any) -> np.ndarray:
    return np.asarray(series.to_numpy(dtype=np.float64, na_value=np.nan))


def _of_objects(codes: np.ndarray, distinct: list[Any]) -> Cells:
    """The entries `distinct[codes]`, of any types, -1 for missing ones."""

    def numbers(values: list[float]) -> np.ndarray:
        return np.array([*values, np.nan])[codes]

    if all(isinstance(value, bool | np.bool_) for value in distinct):
        return Cells("boolean", numbers([float(value) for value in distinct]))
    if all(_is_numeric(value) for value in distinct):
        return Cells("number", numbers([float(value) for value in distinct]))
    if all(isinstance(value, datetime.date | datetime.time) for value in distinct):
        return Cells("date", numbers([0.0] * len(distinct)))
    if not all(isinstance(value, str | bytes | bool) or _is_numeric(value) for value in distinct):
        return Cells("other", numbers([0.0] * len(distinct)))
    return _of_texts(codes, [text_of(value).strip() for value in distinct])


def _is_numeric(value: Any) -> bool:
    is_number = isinstance(value, int | float | np.number | decimal.Decimal)
    return is_number and not isinstance(value, bool | complex)


def _of_texts(codes: np.ndarray, texts: list[str]) -> Cells:
    """The entries `texts[codes]`, of which some are missing and some are equal."""
    places: dict[str, int] = {}
    new = [-1 if is_missing(text) else places.setdefault(text, len(places)) for text in texts]
    codes = np.array([*new, -1])[codes]
    distinct = tuple(places)
    if all(map(is_number, distinct)):
        return Cells("number", np.array([*map(float, distinct), np.nan])[codes])
    if all(text.casefold() in ("true", "false") for text in distinct):
        values = [float(text.casefold() == "true") for text in distinct]
        return Cells("boolean", np.array([*values, np.nan])[codes])
    if all(map(_DATE.fullmatch, distinct)):
        return Cells("date", np.where(codes < 0, np.nan, 0.0))
    return Cells("text", codes=codes, texts=distinct)
