"""Faults of lines, collected part by part: the first of each sort, and how many there are."""

from collections.abc import Callable, Sequence

import numpy as np

from vae_jax.data.text.tokens import Tokens, tokenize
from vae_jax.errors import Argument, InputError, format_value

SHOWN = 60  # characters of a line, and tokens of an alphabet, in a message


class LineFaults:
    """Lines that are malformed, have a token that the alphabet lacks, or are too long."""

    def __init__(self, kind: str, tokens: Sequence[str], length: int) -> None:
        """Check lines for the tokens of an alphabet, and for `length` - 1 tokens at most."""
        self._kind, self._tokens, self._length = kind, tokens, length
        self._counts = {"malformed": 0, "unknown": 0, "long": 0}
        self._first: dict[str, str] = {}  # message about the first line of each sort
        self._longest = 0

    def add(self, lines: Sequence[str], numbered: Tokens, describe: Callable[[int], str]) -> None:
        """Check some lines.

        Args:
          lines: texts.
          numbered: their tokens, with 0 for those that the alphabet lacks.
          describe: the place of a line in messages, by its position.
        """
        ends = np.cumsum(numbered.lengths)
        unknown = np.searchsorted(ends, np.flatnonzero(numbered.flat == 0), side="right")
        long = np.flatnonzero(numbered.lengths >= self._length)
        self._longest = max(self._longest, int(numbered.lengths.max(initial=0)))
        faults: dict[str, Sequence[int] | np.ndarray] = {
            "malformed": list(numbered.malformed),
            "unknown": np.unique(unknown),
            "long": long,
        }
        for sort, positions in faults.items():
            self._counts[sort] += len(positions)
            if len(positions) and sort not in self._first:
                first = int(positions[0])
                place = f"{describe(first)} is {format_value(lines[first], SHOWN)}"
                self._first[sort] = place + self._explain(sort, first, lines[first], numbered)

    def _explain(self, sort: str, position: int, line: str, numbered: Tokens) -> str:
        if sort == "malformed":
            return f": {numbered.malformed[position]}"
        if sort == "long":
            length = int(numbered.lengths[position])
            return f", of {length} tokens, and needs {length + 1} with its end"
        tokens = tokenize(self._kind, [line]).tokens
        token = next(token for token in tokens if token not in self._tokens)
        return f": token {token!r} is not in the alphabet"

    def raise_first(self) -> None:
        """Raises InputError with the first line of a sort of fault, and how many there are."""
        for sort, count in self._counts.items():
            if not count:
                continue
            message = self._first[sort] + (f" ({count} such lines)" if count > 1 else "")
            if sort == "malformed":
                raise InputError(message)
            if sort == "unknown":
                tokens = describe_tokens(self._tokens)
                raise InputError(f"{message}; the alphabet ({self._kind}) is {tokens}")
            longest = f"; the longest needs {self._longest + 1}"
            raise InputError(Argument("max_length"), f" = {self._length}: {message}{longest}")


def describe_tokens(tokens: Sequence[str]) -> str:
    """The tokens of an alphabet in one line, the first ones if they are many."""
    shown = " ".join(tokens[:SHOWN])
    return f"{shown} and {len(tokens) - SHOWN} more" if len(tokens) > SHOWN else shown
