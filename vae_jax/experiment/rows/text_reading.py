"""Lines of .txt and .smi files."""

import dataclasses
import itertools
import os
from collections.abc import Iterator

import numpy as np

from vae_jax.data.inputs import Inputs
from vae_jax.data.text.alphabets import Alphabet
from vae_jax.data.text.faults import LineFaults
from vae_jax.data.text.lines import Lines, iterate_lines
from vae_jax.data.text.tokens import tokenize
from vae_jax.errors import InputError, prefix_arguments
from vae_jax.experiment.rows.reading import Rows

IDENTIFIER = "line"  # the number of a line in its file, from 1
TEXT = "text"  # name of the lines among `Rows.cells`
PART = 8192  # lines checked at once


@dataclasses.dataclass(frozen=True)
class TextReader:
    """The lines of a file as rows of token numbers."""

    path: str
    alphabet: Alphabet
    length: int  # L
    num_rows: int
    is_prepared = True
    has_labels = False
    identifier = IDENTIFIER
    schema = None

    def parts(self, size: int) -> Iterator[Rows]:
        start = 0
        for lines in read_parts(self.path, self.alphabet.kind, size):
            x = self.alphabet.encode_lines(lines.texts, self.length)
            cells = {TEXT: np.array(lines.texts, object)}
            yield Rows(start, x, None, x > 0, lines.numbers, cells)
            start += len(x)


def read_parts(path: str, kind: str, size: int) -> Iterator[Lines]:
    """Yield the lines of a file, `size` at a time."""
    lines = iterate_lines(path, kind)
    while part := list(itertools.islice(lines, size)):
        yield Lines([line.text for line in part], np.array([line.number for line in part]))


def open_text(path: str, inputs: Inputs) -> TextReader:
    """Open a file of lines with the alphabet of the training data, after all of it is checked.

    Raises:
      InputError: the file cannot be read, or a line is malformed, unknown or too long.
    """
    alphabet, length = inputs.text, inputs.shape[0]
    faults = LineFaults(alphabet.kind, alphabet.tokens, length)
    count = 0
    with prefix_arguments("config.data", path="data"):
        for lines in read_parts(path, alphabet.kind, PART):
            numbered = alphabet.number(tokenize(alphabet.kind, lines.texts))
            faults.add(lines.texts, numbered, lines.describe(os.path.basename(path)))
            count += len(lines.texts)
        if not count:
            raise InputError.of("path", path, "has no lines with text")
        faults.raise_first()
    return TextReader(path, alphabet, length, count)
