"""Labels: checks and conversion, the same for all splits together.

>>> convert_labels({"train": np.array([["cat"], ["dog"]]), "test": np.array([["dog"]])}, "pets")
({'train': array([0, 1], dtype=int32), 'test': array([1], dtype=int32)}, ['cat', 'dog'])
"""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from vae_jax.data.rows import HostRows, NpyRows
from vae_jax.errors import InputError, format_value

logger = logging.getLogger(__name__)

INT32 = np.iinfo(np.int32)
UNKNOWN = -1  # the class of an example without a label
NO_TEXT = ("", "nan", "NaN", "NaT", "<NA>")  # missing labels, as pandas and numpy print them
PERHAPS_NO_TEXT = ("none", "null", "na", "n/a", "?", "-", "unknown", "unlabeled")
NUMBERED = "numpy.unique(y, return_inverse=True)[1]"


def unknown(labels: np.ndarray) -> np.ndarray:
    """True for each example [N] without a label: class -1, if at least two classes from 0 exist.

    Labels of -1 and 1 alone are two classes.
    """
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1 or labels.dtype.kind not in "if":
        return np.zeros(len(labels), bool)
    is_unknown = labels == UNKNOWN
    others = np.unique(labels[~is_unknown])
    if len(others) < 2 and 1 in others:
        return np.zeros(len(labels), bool)
    return is_unknown


def convert_labels(
    labels: Mapping[str, Any], name: str
) -> tuple[dict[str, np.ndarray | HostRows], list[str]]:
    """Labels of each split as int32 or float32, [N] or [N, C], and the names of text classes.

    Whole numbers of one per example become int32, of any dtype and of shape [N] or [N, 1]; texts
    become their places in the sorted texts of all splits. Rows read by index stay on disk if they
    are integers of at most 32 bits.

    Raises:
      InputError: NaN, infinite values, integers beyond int32, other types, or splits that differ
        in the number of labels per example.
    """
    arrays = {split: _read(rows) for split, rows in labels.items()}
    lazy = {split: rows for split, rows in arrays.items() if not isinstance(rows, np.ndarray)}
    in_memory = {split: rows for split, rows in arrays.items() if split not in lazy}
    for split, rows in in_memory.items():
        in_memory[split] = _check(rows, f"{split}_labels", name)
    _warn_of_texts([y for y in in_memory.values() if y.dtype.kind in "US"], name)
    converted, classes = _convert(in_memory, name)
    if lazy and classes:
        raise InputError(f"{name}: some labels are texts, some numbers; must be the same")
    kept = {split: HostRows(rows, _to_int32) for split, rows in lazy.items()}
    result = {split: (converted | kept)[split] for split in labels}
    sizes = {split: rows.shape[1:] for split, rows in result.items()}
    if len(set(sizes.values())) > 1:
        raise InputError(f"{name}: label shapes differ between the splits, {sizes}; must be equal")
    return result, classes


def _read(rows: Any) -> Any:
    """Read small arrays, and arrays whose values are checked; the rest is unchanged."""
    is_checked = rows.dtype.kind == "b" or (rows.dtype.kind in "iu" and rows.dtype.itemsize <= 4)
    is_checked &= rows.dtype != np.uint32
    if isinstance(rows, np.ndarray | NpyRows) or not is_checked:
        return np.asarray(rows[np.arange(rows.shape[0])]) if rows.shape else rows
    return rows


def _check(labels: np.ndarray, key: str, name: str) -> np.ndarray:
    """Labels of a type that is understood, with values that are finite and fit into int32."""
    if labels.dtype == object and all(isinstance(entry, str) for entry in labels.reshape(-1)):
        labels = labels.astype(str)
    if labels.dtype == object:
        wrong = next(entry for entry in labels.reshape(-1) if not isinstance(entry, str))
        raise InputError(
            f"{name}: {key} holds objects, such as {format_value(wrong, 40)}; must be numbers or "
            "texts. Number the classes from 0, and mark examples without a class by -1"
        )
    kind = labels.dtype.kind
    if kind in "US":
        _check_texts(labels, key, name)
    if kind not in "biufUS":
        raise InputError(
            f"{name}: {key} has dtype {labels.dtype}; must be numbers (integers, floats) or texts"
        )
    if kind == "f":
        with np.errstate(over="ignore"):
            num_bad = int(np.sum(~np.isfinite(labels.astype(np.float32))))
        if num_bad:
            first = tuple(int(i) for i in np.argwhere(~np.isfinite(labels.astype(np.float32)))[0])
            raise InputError(
                f"{name}: {key} has {num_bad} values that are NaN or infinite, the first at "
                f"{first}; all must be finite. Mark examples without a class by -1"
            )
    if kind in "iu" and (int(labels.max()) > INT32.max or int(labels.min()) < INT32.min):
        raise InputError(
            f"{name}: {key} has integers from {labels.min()} to {labels.max()}; must fit into 32 "
            f"bits; number the classes from 0, as {NUMBERED} does"
        )
    return labels


def _check_texts(labels: np.ndarray, key: str, name: str) -> None:
    """Raises InputError for texts that stand for no label."""
    texts, counts = np.unique(labels.astype(str), return_counts=True)
    for text, count in zip(texts.tolist(), counts.tolist(), strict=True):
        if text.strip() in NO_TEXT:
            raise InputError(
                f"{name}: {key} has {count} times {text!r}, which is no class; number the classes "
                f"from 0, as {NUMBERED} does, and mark examples without a class by -1"
            )


def _warn_of_texts(labels: Sequence[np.ndarray], name: str) -> None:
    """Warn about texts of all splits that may stand for no label, or for one class twice."""
    if not labels:
        return
    every = np.concatenate([y.reshape(-1).astype(str) for y in labels])
    texts, counts = np.unique(every, return_counts=True)
    is_character = [len(text.strip()) == 1 for text in texts.tolist()]
    are_characters = 2 * sum(is_character) > len(texts)  # "?" and "-" are classes as well
    for text, count, is_one in zip(texts.tolist(), counts.tolist(), is_character, strict=True):
        if text.strip().lower() in PERHAPS_NO_TEXT and not (is_one and are_characters):
            logger.warning(
                "%s: %d labels are %r, which is read as a class; if these examples have no label, "
                "number the classes from 0 and mark them by -1",
                *(name, count, text),
            )
    _warn_of_spellings(texts.tolist(), name)


def _warn_of_spellings(texts: Sequence[str], name: str) -> None:
    """Warn about classes whose texts differ only in case or in spaces around them.

    Single characters may differ in case.
    """
    first: dict[str, str] = {}
    for text in texts:
        plain = text.strip()
        other = first.setdefault(plain if len(plain) == 1 else plain.lower(), text)
        if other != text:
            logger.warning(
                "%s: the classes %r and %r differ only in case or spaces", name, other, text
            )
            return


def _convert(
    labels: Mapping[str, np.ndarray], name: str
) -> tuple[dict[str, np.ndarray], list[str]]:
    """Checked labels as numbers, and the names of text classes."""
    is_text = {split: y.dtype.kind in "US" for split, y in labels.items()}
    if any(is_text.values()):
        if not all(is_text.values()):
            text, number = (
                next(s for s, is_it in is_text.items() if is_it == wanted)
                for wanted in (True, False)
            )
            raise InputError(
                f"{name}: {text}_labels has dtype {labels[text].dtype}, {number}_labels numbers; "
                "all must be numbers, or all texts"
            )
        names = np.unique(np.concatenate([y.reshape(-1).astype(str) for y in labels.values()]))
        labels = {s: np.searchsorted(names, y.astype(str)) for s, y in labels.items()}
        classes = names.tolist()
    else:
        classes = []
    # One integer per example is a class, in all splits alike.
    one_each = all(y.ndim == 1 or y.shape[1:] == (1,) for y in labels.values())
    if one_each and all(_is_whole(y) for y in labels.values()):
        return {split: _to_int32(y.reshape(len(y))) for split, y in labels.items()}, classes
    integers = all(y.dtype.kind in "biu" for y in labels.values())
    dtype = np.int32 if integers else np.float32
    return {split: y.astype(dtype) for split, y in labels.items()}, classes


def _is_whole(y: np.ndarray) -> bool:
    if y.dtype.kind != "f":
        return True
    return bool(((y == np.floor(y)) & (y <= INT32.max - 128) & (y >= INT32.min)).all())


def _to_int32(y: np.ndarray) -> np.ndarray:
    return y.astype(np.int32)
