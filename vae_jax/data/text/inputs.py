"""Lines of text, or their rows of token numbers, given to a trained model."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from vae_jax.data.text.alphabets import Alphabet
from vae_jax.distributions.tokens import END, PADDING
from vae_jax.errors import InputError, format_value


def convert_texts(
    alphabet: Alphabet, x: Any, length: int, observed: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Rows [B, L] of token numbers, float32, and the entries up to the end of each, bool.

    Args:
      alphabet: of the training data.
      x: texts [B], or rows [B, L]; a row without an end is a line of more than L - 1 tokens.
      length: L.
      observed: True up to some entry of each row, and False after it; only with rows.

    Raises:
      InputError: a token that the alphabet lacks, a text that is too long, or a row that is no
        tokens, an end and padding.
    """
    texts = as_texts(x)
    if texts is not None:
        if observed is not None:
            raise InputError("observed: omit it with texts, which are observed up to their end")
        rows = alphabet.encode_lines(texts, length, lambda position: f"x[{position}]")
        return rows, rows > 0
    x = np.asarray(x)
    if x.shape[1:] != (length,) or x.ndim != 2:
        raise InputError(
            f"x has shape {x.shape}: must be texts [B], or rows of token numbers [B, {length}]"
        )
    rows = _check_rows(alphabet, x)
    if observed is None:
        return rows, rows > 0
    mask = _check_mask(observed, rows)
    return np.where(mask, rows, 0).astype(np.float32), mask


def as_texts(x: Any) -> list[str] | None:
    """The texts of a list, an array or a column of a table [B]; None if x has no texts.

    Raises:
      InputError: a single text, or some entries are texts and others are not.
    """
    if isinstance(x, str):
        raise InputError(f"x = {format_value(x, 60)}: must be a list of texts; of one, pass [x]")
    if not isinstance(x, Sequence):
        x = np.asarray(x)
        if x.dtype.kind not in "OUT" or x.ndim != 1:
            return None
    entries = list(x)
    is_text = [isinstance(entry, str) for entry in entries]
    if not any(is_text):
        return None
    if not all(is_text):
        position = is_text.index(False)
        raise InputError(
            f"x[{position}] = {format_value(entries[position], 60)}: all of x must be texts"
        )
    return [str(entry) for entry in entries]


def _check_rows(alphabet: Alphabet, x: np.ndarray) -> np.ndarray:
    """Rows as float32; raises InputError unless each is tokens, an end and padding."""
    if x.dtype.kind not in "biuf":
        raise InputError(f"x has dtype {x.dtype}: must be texts, or rows of token numbers")
    is_token = (x >= 0) & (x < alphabet.size) & (x == np.floor(x))
    if not is_token.all():
        row = int(np.flatnonzero(~is_token.all(1))[0])
        raise InputError(
            f"x[{row}] has the value {x[row][~is_token[row]][0]:g}: must be token numbers, "
            f"integers from 0 to {alphabet.size - 1}"
        )
    has_ended = np.cumsum(x <= END, axis=1) > 0
    after = np.pad(has_ended, ((0, 0), (1, 0)))[:, :-1]
    first = np.take_along_axis(x, has_ended.argmax(1)[:, None], axis=1)[:, 0]
    wrong = (after & (x != PADDING)).any(1) | (has_ended.any(1) & (first != END))
    if wrong.any():
        raise InputError(
            f"x[{int(wrong.argmax())}]: must be token numbers from 2, then 1, the end, then zeros"
        )
    return x.astype(np.float32)


def _check_mask(observed: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """A mask [B, L] as booleans; raises InputError if it is no prefix of each row."""
    observed = np.asarray(observed)
    if observed.shape != rows.shape or observed.dtype.kind not in "biuf":
        raise InputError(
            f"observed has shape {observed.shape} and dtype {observed.dtype}: must be booleans "
            f"{rows.shape}"
        )
    mask = observed.astype(bool)
    wrong = (mask[:, 1:] & ~mask[:, :-1]).any(1)
    if wrong.any():
        raise InputError(
            f"observed[{int(wrong.argmax())}]: must be True up to an entry and False after it, for "
            "a token depends on those before it"
        )
    return mask & (rows > 0)
