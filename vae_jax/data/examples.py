"""Examples in memory, for training without a file: arrays, data frames and lists of texts."""

import dataclasses
import numbers
from typing import Any, Literal, Self

import numpy as np

from vae_jax.data.images import as_array
from vae_jax.data.optional import import_pandas
from vae_jax.data.prepare import from_arrays
from vae_jax.data.sources import Dataset
from vae_jax.data.splits import MIN_ROWS
from vae_jax.data.tables.dataset import make_dataset as make_table
from vae_jax.data.tables.encoding import as_frame
from vae_jax.data.tables.errors import Place
from vae_jax.data.tables.overrides import parse_overrides, read_overrides
from vae_jax.data.tables.reading import Table
from vae_jax.data.text.dataset import make_dataset as make_text
from vae_jax.data.text.inputs import as_texts
from vae_jax.data.text.lines import lines_of_texts
from vae_jax.data.text.named import choose_alphabet
from vae_jax.errors import InputError, format_value, suggest

NAME = "x"  # of the data set, in messages


@dataclasses.dataclass(frozen=True, eq=False)
class Examples:
    """Examples for training and perhaps for validation, in one of three forms.

    Attributes:
      form: 'npz' for arrays, 'table' or 'text': the name of the data set from files that has
        examples of this form.
      x: array [N, *E], data frame of N rows, or N texts.
      y: labels [N] or [N, C] of arrays, or the name of the column of a data frame; None without.
      valid: examples in the form of x; None if they are cut from x.
      valid_y: their labels, if x is an array with labels.
    """

    form: Literal["npz", "table", "text"]
    x: Any
    y: Any = None
    valid: Any = None
    valid_y: Any = None

    @classmethod
    def of(cls, x: Any, y: Any = None, valid: Any = None) -> Self:
        """Find the form of examples.

        Args:
          x: an array, or what numpy makes one of; a data frame, of pandas or with the method
            `to_pandas`; or a list of texts.
          y: labels, see `Examples`.
          valid: None, examples in the form of x or, with labels of an array, a pair of examples
            and labels.

        Raises:
          InputError: none of these forms, too few examples, or only one value.
        """
        valid_y = None
        form, x = _convert(x, "x")
        if len(x) < MIN_ROWS:
            raise InputError(
                f"x has {len(x)} example{'s' * (len(x) != 1)}: at least {MIN_ROWS} are needed for "
                "training and validation"
            )
        if form == "npz" and _is_constant(x):
            raise InputError(f"x: all values are {x.flat[0]}; there is nothing to learn")
        if form == "table":
            _check_label(x, y)
        elif y is not None and form == "text":
            raise InputError("y: texts have no labels; omit it")
        elif y is not None:
            y = _convert_labels(y, "y", len(x))
            if valid is not None:
                valid, valid_y = _split_pair(valid)
        if valid is not None:
            other, valid = _convert(valid, "valid")
            if other != form:
                raise InputError(f"valid: must be in the form of x, {FORMS[form]}")
            if form == "table":
                _check_columns(x, valid)
            valid_y = None if valid_y is None else _convert_labels(valid_y, "valid", len(valid))
        return cls(form, x, y, valid, valid_y)

    def dataset(
        self,
        *,
        values: str = "scaled",
        binarization: str = "none",
        valid_fraction: float = 0.1,
        missing: bool = False,
        schema: str = "",
        alphabet: str = "auto",
        max_length: int = 0,
    ) -> Dataset:
        """The data set of the examples; options as for `vae_jax.data.load`.

        Without examples for testing, none are cut, and test is a copy of validation.

        Raises:
          InputError: as of `from_arrays`, `tables.dataset.load_table` or `text.dataset.load_text`.
        """
        if self.form == "npz":
            options: dict[str, Any] = {"values": values, "binarization": binarization}
            options |= {"valid_fraction": valid_fraction, "missing": missing, "needs_test": False}
            return from_arrays(self._arrays(), name=NAME, **options)
        options = {"valid_fraction": valid_fraction, "rows": self._rows(), "needs_test": False}
        if self.form == "text":
            texts = self.x + (self.valid or [])
            alphabet = choose_alphabet("text", "", alphabet)
            lines = lines_of_texts(texts, alphabet, self._name_row)
            options |= {"name": NAME, "max_length": max_length}
            return make_text(lines, alphabet, self._name_row, **options)
        frame = self.x
        if self.valid is not None:
            frame = import_pandas().concat([self.x, self.valid], ignore_index=True)
        names = list(frame.columns)
        overrides = read_overrides(schema, names)
        if self.y is not None:
            overrides |= parse_overrides({"columns": {self.y: "label"}}, names)
        table = Table(frame, Place(NAME))
        return make_table(table, overrides, name=NAME, missing=missing, **options)

    def _name_row(self, position: int) -> str:
        size = len(self.x)
        return f"x[{position}]" if position < size else f"valid[{position - size}]"

    def _arrays(self) -> dict[str, np.ndarray]:
        arrays = {
            "train_images": self.x,
            "train_labels": self.y,
            "valid_images": self.valid,
            "valid_labels": self.valid_y,
        }
        return {name: array for name, array in arrays.items() if array is not None}

    def _rows(self) -> dict[str, np.ndarray] | None:
        """The positions of the examples of each split, those of validation last."""
        if self.valid is None:
            return None
        size = len(self.x)
        return {"train": np.arange(size), "valid": size + np.arange(len(self.valid))}


FORMS = {"npz": "an array", "table": "a data frame", "text": "a list of texts"}


def _convert(x: Any, name: str) -> tuple[Literal["npz", "table", "text"], Any]:
    """The form of examples, and the examples as an array, a frame of pandas or a list."""
    if x is None or isinstance(x, bytes | dict | set | numbers.Number):
        raise InputError(
            f"{name} = {format_value(x, 60)}: must be an array, a data frame or a list of texts"
        )
    if hasattr(x, "columns"):
        return "table", as_frame(x)
    texts = as_texts(x)
    if texts is not None:
        return "text", texts
    array = as_array(x, "images", name)
    if array.ndim == 0:
        raise InputError(f"{name} = {format_value(x, 60)}: must be examples [N, ...]")
    return "npz", array


def _convert_labels(y: Any, name: str, size: int) -> np.ndarray:
    labels = as_array(y, "labels", name)
    if labels.ndim not in (1, 2) or len(labels) != size:
        raise InputError(
            f"{name}: labels have shape {labels.shape} for {size} examples; must be [{size}] or "
            f"[{size}, C]"
        )
    return labels


def _split_pair(valid: Any) -> tuple[Any, Any]:
    if not isinstance(valid, tuple) or len(valid) != 2:
        raise InputError("valid: with y, must be a share, or a pair of examples and their labels")
    return valid


def _check_label(frame: Any, y: Any) -> None:
    if y is None:
        return
    names = list(frame.columns)
    if not isinstance(y, str) or y not in names:
        hint = suggest(y, names) if isinstance(y, str) else ""
        raise InputError(
            f"y = {format_value(y, 60)}: with a data frame, must be the name of one of its "
            f"columns, {', '.join(names)}{hint}"
        )


def _check_columns(frame: Any, valid: Any) -> None:
    names, others = list(frame.columns), list(valid.columns)
    missing = [name for name in names if name not in others]
    unknown = [name for name in others if name not in names]
    if missing or unknown:
        raise InputError(
            f"valid: must have the columns of x; missing {missing}, not in x {unknown}"
        )


def _is_constant(x: np.ndarray) -> bool:
    return x.dtype.kind in "biuf" and x.size > 0 and bool((x == x.flat[0]).all())
