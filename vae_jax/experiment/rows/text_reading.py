"""Lines of .txt and .smi files."""

import dataclasses
import itertools
import os
from collections.abc import Iterator

import numpy as np

from vae_jax.data.inputs import Inputs
from vae_jax.data.sources import Dataset
from vae_jax.data.text.alphabets import Alphabet
from vae_jax.data.text.faults import LineFaults
from vae_jax.data.text.lines import Line, Lines, is_text, iterate_lines
from vae_jax.data.text.tokens import tokenize
from vae_jax.errors import InputError, prefix_arguments
from vae_jax.experiment.rows.reading import Rows

IDENTIFIER = "line"  # the number of a line in its file, from 1
TEXT, NAME = "text", "name"  # keys of the lines, and of the names of molecules, of `Rows.cells`
PART = 8192  # lines checked at once


@dataclasses.dataclass(frozen=True)
class TextReader:
    """The lines of a file as rows of token numbers."""

    path: str
    alphabet: Alphabet
    length: int  # L
    num_rows: int
    has_names: bool  # True if something follows a molecule
    is_prepared = True
    has_labels = False
    identifier = IDENTIFIER
    schema = None

    def parts(self, size: int) -> Iterator[Rows]:
        start = 0
        for part in read_parts(self.path, self.alphabet.kind, size):
            lines = Lines.of(part)
            x = self.alphabet.encode_lines(lines.texts, self.length)
            cells = {TEXT: np.array(lines.texts, object)}
            if self.has_names:
                cells[NAME] = _names(part)
            yield Rows(start, x, None, x > 0, lines.numbers, cells)
            start += len(x)


def read_parts(path: str, kind: str, size: int) -> Iterator[list[Line]]:
    """Yield the lines of a file, `size` at a time."""
    lines = iterate_lines(path, kind)
    while part := list(itertools.islice(lines, size)):
        yield part


def _names(lines: list[Line]) -> np.ndarray:
    return np.array([line.name for line in lines], object)


def names_of_split(path: str, dataset: Dataset) -> dict[str, np.ndarray] | None:
    """The names of the molecules of the test split in a file of lines; None if it has none."""
    if not is_text(path):
        return None
    assert dataset.text is not None
    assert dataset.row_ids is not None
    numbers = set(dataset.row_ids["test"].tolist())  # in the order of the file
    lines = iterate_lines(path, dataset.text.kind)
    names = _names([line for line in lines if line.number in numbers])
    return {NAME: names} if any(names) else None


def open_text(path: str, inputs: Inputs) -> TextReader:
    """Open a file of lines with the alphabet of the training data, after all of it is checked.

    Raises:
      InputError: the file cannot be read, or a line is malformed, unknown or too long.
    """
    alphabet, length = inputs.text, inputs.shape[0]
    faults = LineFaults(alphabet.kind, alphabet.tokens, length)
    count, has_names = 0, False
    with prefix_arguments("config.data", path="data"):
        for part in read_parts(path, alphabet.kind, PART):
            lines = Lines.of(part)
            has_names |= any(line.name for line in part)
            numbered = alphabet.number(tokenize(alphabet.kind, lines.texts))
            faults.add(lines.texts, numbered, lines.describe(os.path.basename(path)))
            count += len(lines.texts)
        if not count:
            raise InputError.of("path", path, "has no lines with text")
        faults.raise_first()
    return TextReader(path, alphabet, length, count, has_names)
