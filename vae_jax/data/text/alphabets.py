"""Alphabets: lines of text to rows of token numbers and back.

The numbers of a row are those of its tokens, then 1, the end, then zeros.

>>> alphabet = Alphabet.of_lines("smiles", ["CCl", "c1ccccc1Br"])
>>> alphabet.tokens
('1', 'Br', 'C', 'Cl', 'c')
>>> alphabet.encode("CCl"), alphabet.decode([4, 5, 1, 0, 0])
([4, 5, 1], 'CCl')
>>> alphabet.encode_lines(["C", "CBr"], 4)
array([[4., 1., 0., 0.],
       [4., 3., 1., 0.]], dtype=float32)
"""

import array
import collections
import dataclasses
import functools
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Self

import numpy as np

from vae_jax.data.text.selfies import join_selfies, split_selfies
from vae_jax.data.text.smiles import split_smiles
from vae_jax.errors import Argument, InputError, check_choice, format_value

PADDING, END = 0, 1
NUM_SPECIAL = 2  # padding and end
SHOWN = 60  # characters of a line, and tokens of an alphabet, in a message

SPLITTERS: Mapping[str, Callable[[str], list[str]]] = {
    "characters": list,
    "smiles": split_smiles,
    "selfies": split_selfies,
}
KINDS = tuple(SPLITTERS)
MOLECULES = ("smiles", "selfies")  # alphabets whose lines are molecules as SMILES


class Tokens(NamedTuple):
    """Lines as numbers of their tokens, one line after the other."""

    tokens: tuple[str, ...]  # distinct tokens in the order in which they occur
    flat: np.ndarray  # [sum of lengths] index into `tokens`
    lengths: np.ndarray  # [N] numbers of tokens, without the end


def _number(position: int) -> str:
    return f"text {position}"


def tokenize(kind: str, lines: Sequence[str], describe: Callable[[int], str] = _number) -> Tokens:
    """Split lines by the rule of an alphabet; `describe` is their place in messages.

    Raises:
      InputError: an unknown kind, selfies is not installed, or a molecule has no SELFIES.
    """
    split = SPLITTERS[check_choice(Argument("alphabet"), kind, KINDS)]
    numbers: collections.defaultdict[str, int] = collections.defaultdict(itertools.count().__next__)
    flat, lengths = array.array("I"), array.array("I")
    malformed: dict[int, str] = {}
    for position, line in enumerate(lines):
        try:
            tokens = split(line)
        except InputError:
            raise
        except ValueError as error:
            malformed[position] = str(error)
            continue
        lengths.append(len(tokens))
        flat.extend(map(numbers.__getitem__, tokens))
    raise_malformed(lines, malformed, describe)
    return Tokens(tuple(numbers), _to_numpy(flat), _to_numpy(lengths).astype(np.int64))


def raise_malformed(
    lines: Sequence[str], malformed: Mapping[int, str], describe: Callable[[int], str]
) -> None:
    """Raises InputError with the first of the faults, by position, and their number."""
    if malformed:
        first, fault = next(iter(malformed.items()))
        raise InputError(
            f"{describe(first)} is {format_value(lines[first], SHOWN)}: {fault}"
            f"{_count(len(malformed))}"
        )


def _to_numpy(numbers: "array.array[int]") -> np.ndarray:
    return np.frombuffer(numbers, np.uint32) if numbers else np.zeros(0, np.uint32)


@dataclasses.dataclass(frozen=True)
class Alphabet:
    """The tokens of a data set, without padding and end: token i has the number i + 2.

    Attributes:
      kind: 'characters'; 'smiles', with whole two-letter atoms, bracket atoms and ring bonds; or
        'selfies', whose texts are SMILES as well.
      tokens: distinct texts.
    """

    kind: str
    tokens: tuple[str, ...]

    @classmethod
    def of_lines(cls, kind: str, lines: Sequence[str]) -> Self:
        """The alphabet of some lines, in the order of code points."""
        return cls(kind, tuple(sorted(tokenize(kind, lines).tokens)))

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Rebuild from `to_json`; raises ValueError or TypeError if damaged."""
        tokens = tuple(map(str, values["tokens"]))
        if values["kind"] not in KINDS or len(set(tokens)) < len(tokens) or "" in tokens:
            raise ValueError(f"damaged alphabet {format_value(values)}")
        return cls(values["kind"], tokens)

    def to_json(self) -> dict[str, Any]:
        """Kind and tokens as JSON has them."""
        return {"kind": self.kind, "tokens": list(self.tokens)}

    @property
    def size(self) -> int:
        """V: the tokens, padding and end."""
        return len(self.tokens) + NUM_SPECIAL

    @functools.cached_property
    def numbers(self) -> dict[str, int]:
        """The number of each token."""
        return {token: i + NUM_SPECIAL for i, token in enumerate(self.tokens)}

    def encode(self, line: str) -> list[int]:
        """The numbers of a line, with the end and without padding.

        Raises:
          InputError: a token that the alphabet lacks.
        """
        return [*self.number([line]).flat.tolist(), END]

    def encode_lines(
        self, lines: Sequence[str], length: int, describe: Callable[[int], str] = _number
    ) -> np.ndarray:
        """Lines as rows [N, L] of numbers, float32, with L = `length`.

        Args:
          lines: texts, molecules as SMILES.
          length: L, which counts the end.
          describe: the place of a line in messages, by its position.

        Raises:
          InputError: a token that the alphabet lacks, or a line of more than L - 1 tokens.
        """
        numbered = self.number(lines, describe)
        check_lengths(lines, numbered.lengths, length, describe)
        return fill_rows(numbered, length, np.dtype(np.float32))

    def number(self, lines: Sequence[str], describe: Callable[[int], str] = _number) -> Tokens:
        """The tokens of lines with their numbers in this alphabet; errors as of `encode_lines`."""
        split = tokenize(self.kind, lines, describe)
        table = np.array([self.numbers.get(token, PADDING) for token in split.tokens], np.uint32)
        flat = table[split.flat] if len(table) else split.flat
        if PADDING in table:
            self._raise_unknown(lines, split, flat == PADDING, describe)
        return Tokens(self.tokens, flat, split.lengths)

    def _raise_unknown(
        self,
        lines: Sequence[str],
        split: Tokens,
        is_unknown: np.ndarray,
        describe: Callable[[int], str],
    ) -> None:
        ends = np.cumsum(split.lengths)
        places = np.unique(np.searchsorted(ends, np.flatnonzero(is_unknown), side="right"))
        token = split.tokens[split.flat[is_unknown][0]]
        raise InputError(
            f"{describe(int(places[0]))} is {format_value(lines[places[0]], SHOWN)}: token "
            f"{token!r} is not in the alphabet{_count(len(places))}; the alphabet ({self.kind}) is "
            f"{self}"
        )

    def __str__(self) -> str:
        shown = " ".join(self.tokens[:SHOWN])
        more = len(self.tokens) - SHOWN
        return f"{shown} and {more} more" if more > 0 else shown

    def decode(self, ids: Iterable[float]) -> str:
        """The text of a row of numbers up to its end or padding; molecules as SMILES.

        Raises:
          InputError: a number that is no token.
        """
        return self.decode_rows(np.asarray(list(ids))[None])[0]

    def decode_rows(self, x: np.ndarray) -> list[str]:
        """The texts of rows x [N, L], each up to its end or padding; molecules as SMILES.

        Raises:
          InputError: a value that is no integer from 0 to V - 1, or another shape.
        """
        x = np.asarray(x)
        if x.ndim != 2:
            raise InputError(f"x has shape {x.shape}: must be [N, L], rows of token numbers")
        is_token = (x >= 0) & (x < self.size) & (x == np.floor(x))
        if not is_token.all():
            raise InputError(
                f"x has the value {x[~is_token][0]:g}: must be a token number, an integer from 0 "
                f"to {self.size - 1}"
            )
        is_end = x < NUM_SPECIAL
        lengths = np.where(is_end.any(1), is_end.argmax(1), x.shape[1])
        texts = np.array([*("",) * NUM_SPECIAL, *self.tokens], object)[x.astype(np.int64)]
        join = join_selfies if self.kind == "selfies" else "".join
        return [join(row[:n].tolist()) for row, n in zip(texts, lengths.tolist(), strict=True)]


def fill_rows(numbered: Tokens, length: int, dtype: np.dtype) -> np.ndarray:
    """Rows [N, L]: the numbers of each line, the end, and padding."""
    places = np.arange(length)
    rows = np.zeros((len(numbered.lengths), length), dtype)
    rows[places < numbered.lengths[:, None]] = numbered.flat
    rows[places == numbered.lengths[:, None]] = END
    return rows


def check_lengths(
    lines: Sequence[str],
    lengths: np.ndarray,
    length: int,
    describe: Callable[[int], str] = _number,
) -> None:
    """Raises InputError if a line has more than `length` - 1 of the numbers of tokens [N]."""
    places = np.flatnonzero(lengths >= length)
    if not len(places):
        return
    first = int(places[0])
    raise InputError(
        Argument("max_length"),
        f" = {length}: {describe(first)}, {format_value(lines[first], SHOWN)}, has "
        f"{lengths[first]} tokens and needs {lengths[first] + 1}, with the end"
        f"{_count(len(places))}; the longest needs {lengths.max() + 1}",
    )


def _count(number: int) -> str:
    return f" ({number} such lines)" if number > 1 else ""
