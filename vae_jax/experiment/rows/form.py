"""The form of the data in a file: columns by name, with the values of their kinds."""

import dataclasses

import numpy as np
from flax import linen as nn

from vae_jax.data.inputs import Inputs
from vae_jax.data.tables import decode_rows
from vae_jax.data.tables.schema import CODED, COUNTS, TableSchema
from vae_jax.data.text.alphabets import Alphabet
from vae_jax.data.text.tokens import MOLECULES
from vae_jax.errors import InputError
from vae_jax.experiment.rows.writing import Field
from vae_jax.likelihoods import Mixed, parse_columns


@dataclasses.dataclass(frozen=True)
class Form:
    """The columns of the data in an output that is a table, or the arrays of an .npz file."""

    shape: tuple[int, ...]  # *E
    names: tuple[str, ...]  # [C] of a table
    kinds: tuple[str, ...]  # [C] kinds of the columns, such as "gaussian"
    is_flat: bool  # True if the output is a table
    schema: TableSchema | None = None  # None if the columns of the training data had no names
    text: Alphabet | None = None  # the tokens of lines of text

    @classmethod
    def of(cls, inputs: Inputs, likelihood: nn.Module, *, is_flat: bool) -> "Form":
        """The form of the data of a model."""
        shape = tuple(inputs.shape)
        if len(shape) != 1 or inputs.text is not None:
            return cls(shape, (), (), is_flat, text=inputs.text)
        if inputs.table is not None:
            kinds = tuple(column.kind for column in inputs.table.columns)
            return cls(shape, inputs.table.names, kinds, is_flat, inputs.table)
        names = tuple(f"column_{number}" for number in range(shape[0]))
        return cls(shape, names, column_kinds(likelihood, shape[0]), is_flat)

    @property
    def text_name(self) -> str:
        """The name of the column of lines of text."""
        return "smiles" if self.text is not None and self.text.kind in MOLECULES else "text"

    def text_fields(self, x: np.ndarray, name: str) -> list[Field]:
        """The texts of rows x [n, L], with the rows in an .npz file."""
        assert self.text is not None
        texts = Field(name, np.array(self.text.decode_rows(x), object))
        return [texts] if self.is_flat else [Field("x", x), texts]

    def rename(self, schema: TableSchema | None) -> "Form":
        """The form with the names of a file, if the training data had none."""
        if schema is None or self.schema is not None:
            return self
        return dataclasses.replace(self, names=schema.names)

    def check_values(self, mode: str) -> None:
        """Raises InputError if values x can't be written."""
        if self.is_flat and len(self.shape) != 1:
            raise InputError(f"output: --mode={mode} writes images as arrays; use a name in .npz")

    def fields(self, x: np.ndarray, *, whole: bool) -> list[Field]:
        """Values x [n, *E] of the model in the form of the data.

        In a table, categories are their texts, or numbers if they had no texts. Counts are whole
        numbers if they are draws or modes (`whole`), else numbers. Rows of token numbers are texts.
        """
        if self.text is not None:
            return self.text_fields(x, self.text_name)
        if not self.is_flat:
            return [Field("x", x, self.names if self.schema is not None else ())]
        numbers = {name: x[:, place] for place, name in enumerate(self.names)}
        if self.schema is None:
            return [
                Field(name, self._whole(kind, numbers[name], whole=whole))
                for name, kind in zip(self.names, self.kinds, strict=True)
            ]
        frame = decode_rows(self.schema, x)
        return [
            Field(name, numbers[name] if kind in COUNTS and not whole else frame[name])
            for name, kind in zip(self.names, self.kinds, strict=True)
        ]

    @staticmethod
    def _whole(kind: str, values: np.ndarray, *, whole: bool) -> np.ndarray:
        is_whole = kind in CODED or (whole and kind in COUNTS)
        return np.rint(values).astype(np.int64) if is_whole else values


def column_kinds(likelihood: nn.Module, num_columns: int) -> tuple[str, ...]:
    """The kind of each column of a table under a likelihood."""
    if isinstance(likelihood, Mixed):
        return tuple(column.kind for column in parse_columns(likelihood.columns))
    if likelihood.binary:
        return ("bernoulli",) * num_columns
    return ("counts" if likelihood.integers else "gaussian",) * num_columns
