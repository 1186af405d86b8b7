"""One column: its categories, and its entries as float32."""

from collections.abc import Sequence

import numpy as np

from vae_jax.data.tables.cells import Cells, first_row
from vae_jax.data.tables.errors import Place
from vae_jax.data.tables.numeric import explain_resolution, numbers_of, to_float32
from vae_jax.data.tables.schema import BOOLEANS, CODED, TableColumn
from vae_jax.errors import suggest, truncate

_BOOLEANS = tuple((text.casefold(), text) for text in BOOLEANS)
MAX_CODES = 1_000
MAX_SHOWN = 200  # characters of categories in a message


def make_column(
    name: str, kind: str, cells: Cells, place: Place, categories: Sequence[str] = ()
) -> TableColumn:
    """The column of a kind, with the categories given, else those of its entries.

    Raises:
      InputError: the entries do not fit the kind. The first one that is not among the categories
        given, or that the kind does not allow, is named with its row.
    """
    if cells.type in ("date", "other"):
        raise place.error(name, f"is {kind}, but holds dates or other objects; give numbers")
    if kind not in CODED:
        if problem := explain_resolution(numbers_of(name, cells, place)):
            raise place.error(name, f"is {kind}, but has {problem}")
        encode_column(TableColumn(name, kind), cells, place)
        return TableColumn(name, kind)
    is_given = bool(categories)
    texts = tuple(categories) or cells.categories
    if len(texts) < 2:
        only = f", {texts[0]!r}" if texts else ""
        raise place.error(name, f"is {kind}, but has {len(texts)} value{only}; must have several")
    if kind == "bernoulli" and len(texts) > 2:
        raise place.error(
            name, f"is bernoulli, but has {len(texts)} values, {_show(texts)}; use 'categorical'"
        )
    if kind == "ordinal" and cells.type == "text" and not is_given and not cells.order:
        raise place.error(
            name,
            'is ordinal, and texts do not tell their order; give it, as {"kind": "ordinal", '
            f'"categories": [{_show(texts, quote=True)}]}}, lowest first',
        )
    if len(texts) > MAX_CODES:
        raise place.error(
            name, f"is {kind}, but has {len(texts)} values; must have at most {MAX_CODES}"
        )
    column = TableColumn(name, kind, texts, _type_of(cells, texts))
    encode_column(column, cells, place)  # names entries that are not among the categories
    return column


def _type_of(cells: Cells, categories: tuple[str, ...]) -> str:
    if cells.type == "boolean":
        return "boolean" if set(categories) <= set(BOOLEANS) else "text"
    if cells.type == "number" and all(_is_float(text) for text in categories):
        return "number"
    return "text"


def _is_float(text: str) -> bool:
    try:
        return np.isfinite(float(text))
    except ValueError:
        return False


def encode_column(column: TableColumn, cells: Cells, place: Place) -> np.ndarray:
    """The entries as float32 [N], with zeros for missing ones; codes for the coded kinds.

    Raises:
      InputError: an entry has no code, or is none that the kind allows; the first is named.
    """
    if column.kind in CODED:
        return encode_codes(column.name, column.categories, cells, place).astype(np.float32)
    return to_float32(column.name, cells, column.kind, place)


def encode_codes(name: str, categories: Sequence[str], cells: Cells, place: Place) -> np.ndarray:
    """The place in the categories of each entry, int32 [N], 0 for missing ones."""
    if cells.type in ("date", "other"):
        raise place.error(name, "holds dates or other objects, not categories")
    code_of = _Codes(categories)
    if cells.codes is not None:
        table = np.array([*map(code_of, cells.texts), 0], np.int32)
        codes = table[cells.codes]
    else:
        assert cells.numbers is not None
        table = np.array([*map(code_of, cells.categories), 0], np.int32)
        codes = table[np.searchsorted(cells.values, cells.numbers)]  # NaN is after all values
    row = first_row((codes < 0) & ~cells.missing)
    if row is not None:
        text = cells.text(row)
        near = suggest(text, categories)
        place.fail(name, text, f"is not one of its categories, {_show(categories)}{near}", row=row)
    return np.where(cells.missing, 0, codes)


class _Codes:
    """The code of a text among categories, -1 without one; 1, 1.0 and '1' are one number."""

    def __init__(self, categories: Sequence[str]) -> None:
        self._codes = {text: code for code, text in enumerate(categories)}
        self._numbers = {}
        if all(map(_is_float, categories)):
            self._numbers = {float(text): code for text, code in self._codes.items()}
        is_boolean = set(categories) <= set(BOOLEANS)
        self._booleans = {**dict(_BOOLEANS), "1": "True", "0": "False"} if is_boolean else {}

    def __call__(self, text: str) -> int:
        if text in self._codes:
            return self._codes[text]
        if self._booleans:
            return self._codes.get(self._booleans.get(text.casefold(), ""), -1)
        if self._numbers and text in BOOLEANS:
            return self._numbers.get(float(BOOLEANS.index(text)), -1)
        return self._numbers.get(float(text), -1) if self._numbers and _is_float(text) else -1


def _show(categories: Sequence[str], *, quote: bool = False) -> str:
    texts = (f'"{text}"' if quote else repr(text) for text in categories[:MAX_CODES])
    return truncate(", ".join(texts), MAX_SHOWN)
