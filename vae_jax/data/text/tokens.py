"""Lines of text as tokens, by one rule for each kind of alphabet."""

import array
import collections
import itertools
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import numpy as np

from vae_jax.data.text.selfies import split_selfies
from vae_jax.data.text.smiles import split_smiles
from vae_jax.errors import Argument, InputError, check_choice

SPLITTERS: Mapping[str, Callable[[str], list[str]]] = {
    "characters": list,
    "smiles": split_smiles,
    "selfies": split_selfies,
}
KINDS = tuple(SPLITTERS)
MOLECULES = ("smiles", "selfies")  # alphabets whose lines are molecules as SMILES


class Tokens(NamedTuple):
    """Lines as numbers of their tokens, one line after the other."""

    tokens: tuple[str, ...]  # distinct tokens
    flat: np.ndarray  # [T] numbers of tokens, T the sum of lengths
    lengths: np.ndarray  # [N] of each line, without the end; 0 if it is malformed
    malformed: Mapping[int, str]  # the fault of each malformed line, by its position


def tokenize(kind: str, lines: Iterable[str]) -> Tokens:
    """Split lines by the rule of an alphabet, with tokens in the order in which they occur.

    Raises:
      InputError: an unknown kind, or selfies is not installed.
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
            tokens = []
        lengths.append(len(tokens))
        flat.extend(map(numbers.__getitem__, tokens))
    return Tokens(tuple(numbers), _to_numpy(flat), _to_numpy(lengths).astype(np.int64), malformed)


def _to_numpy(numbers: "array.array[int]") -> np.ndarray:
    return np.frombuffer(numbers, np.uint32) if numbers else np.zeros(0, np.uint32)
