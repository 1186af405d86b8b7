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

import dataclasses
import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Self

import numpy as np

from vae_jax.data.text.faults import LineFaults, describe_tokens
from vae_jax.data.text.selfies import join_selfies
from vae_jax.data.text.tokens import KINDS, Tokens, tokenize
from vae_jax.distributions.tokens import END
from vae_jax.errors import InputError, format_value

NUM_SPECIAL = 2  # padding and end
MAX_LENGTH = 2**31  # more than any line has


def _describe(position: int) -> str:
    return f"text {position}"


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
    def of_lines(
        cls, kind: str, lines: Sequence[str], describe: Callable[[int], str] = _describe
    ) -> Self:
        """The alphabet of some lines, in the order of code points.

        Raises:
          InputError: an unknown kind, selfies is not installed, or a molecule has no SELFIES.
        """
        return cls.of_tokens(kind, tokenize(kind, lines), lines, describe)

    @classmethod
    def of_tokens(
        cls,
        kind: str,
        split: Tokens,
        lines: Sequence[str],
        describe: Callable[[int], str] = _describe,
    ) -> Self:
        """The same, from lines that are split."""
        faults = LineFaults(kind, (), MAX_LENGTH)
        faults.add(lines, split._replace(flat=split.flat + 1), describe)  # none is unknown
        faults.raise_first()
        return cls(kind, tuple(sorted(split.tokens)))

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Rebuild from `to_json`; raises ValueError or TypeError if damaged."""
        if not isinstance(values, Mapping):
            raise TypeError(f"alphabet = {format_value(values)}")
        kind, tokens = values.get("kind"), tuple(map(str, values.get("tokens", ("", ""))))
        if kind not in KINDS or len(set(tokens)) < len(tokens) or "" in tokens:
            raise ValueError(f"damaged alphabet {format_value(values)}")
        return cls(kind, tokens)

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
          InputError: a token that the alphabet lacks, or a molecule without SELFIES.
        """
        numbered = self.number(tokenize(self.kind, [line]))
        self.check([line], numbered, MAX_LENGTH)
        return [*numbered.flat.tolist(), END]

    def encode_lines(
        self, lines: Sequence[str], length: int, describe: Callable[[int], str] = _describe
    ) -> np.ndarray:
        """Lines as rows [N, L] of numbers, float32, with L = `length`.

        Args:
          lines: texts, molecules as SMILES.
          length: L, which counts the end.
          describe: the place of a line in messages, by its position.

        Raises:
          InputError: as of `encode`, or a line of more than L - 1 tokens.
        """
        numbered = self.number(tokenize(self.kind, lines))
        self.check(lines, numbered, length, describe)
        return fill_rows(numbered, length, np.dtype(np.float32))

    def number(self, split: Tokens) -> Tokens:
        """Lines that are split with the numbers of this alphabet, 0 for tokens that it lacks."""
        table = np.array([self.numbers.get(token, 0) for token in split.tokens], np.uint32)
        return split._replace(tokens=self.tokens, flat=table[split.flat])

    def check(
        self,
        lines: Sequence[str],
        numbered: Tokens,
        length: int,
        describe: Callable[[int], str] = _describe,
    ) -> None:
        """Raises InputError for a line that is malformed, unknown or too long."""
        faults = LineFaults(self.kind, self.tokens, length)
        faults.add(lines, numbered, describe)
        faults.raise_first()

    def __str__(self) -> str:
        return describe_tokens(self.tokens)

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

    def decode_complete(self, x: np.ndarray) -> list[str | None]:
        """The texts of rows x [N, L], None for those that have no end."""
        ends = (np.asarray(x) == END).any(1)
        return [
            text if ended else None for text, ended in zip(self.decode_rows(x), ends, strict=True)
        ]


def fill_rows(numbered: Tokens, length: int, dtype: np.dtype) -> np.ndarray:
    """Rows [N, L]: the numbers of each line, the end, and padding."""
    places = np.arange(length)
    rows = np.zeros((len(numbered.lengths), length), dtype)
    rows[places < numbered.lengths[:, None]] = numbered.flat
    rows[places == numbered.lengths[:, None]] = END
    return rows
