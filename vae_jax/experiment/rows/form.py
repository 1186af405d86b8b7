"""The form of the data in a file: columns by name, with the values of their kinds."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from flax import linen as nn

from vae_jax.errors import InputError
from vae_jax.experiment.rows.writing import Field
from vae_jax.likelihoods import Mixed, parse_columns

COUNTS = ("counts", "poisson", "zero_inflated")


@dataclasses.dataclass(frozen=True)
class Form:
    """The columns of the data in an output that is a table, or the arrays of an .npz file."""

    shape: tuple[int, ...]  # *E
    names: tuple[str, ...]  # [C] of a table
    kinds: tuple[str, ...]  # [C] kinds of the columns, such as "gaussian"
    is_flat: bool  # True if the output is a table

    @classmethod
    def of(cls, shape: Sequence[int], likelihood: nn.Module, *, is_flat: bool) -> "Form":
        """The form of the data of a model."""
        if len(shape) != 1:
            return cls(tuple(shape), (), (), is_flat)
        names = tuple(f"column_{number}" for number in range(shape[0]))
        return cls(tuple(shape), names, column_kinds(likelihood, shape[0]), is_flat)

    def check_values(self, mode: str) -> None:
        """Raises InputError if values x can't be written."""
        if self.is_flat and len(self.shape) != 1:
            raise InputError(f"output: --mode={mode} writes images as arrays; use a name in .npz")

    def fields(self, x: np.ndarray, *, whole: bool) -> list[Field]:
        """Values x [n, *E] of the model in the form of the data.

        Categories and booleans are whole numbers in a table, counts if they are draws or modes
        (`whole`) instead of means.
        """
        if not self.is_flat:
            return [Field("x", x)]
        return [
            Field(name, self._column(kind, x[:, number], whole=whole))
            for number, (name, kind) in enumerate(zip(self.names, self.kinds, strict=True))
        ]

    @staticmethod
    def _column(kind: str, values: np.ndarray, *, whole: bool) -> np.ndarray:
        is_whole = kind in ("bernoulli", "categorical", "ordinal") or (whole and kind in COUNTS)
        return np.rint(values).astype(np.int64) if is_whole else values


def column_kinds(likelihood: nn.Module, num_columns: int) -> tuple[str, ...]:
    """The kind of each column of a table under a likelihood."""
    if isinstance(likelihood, Mixed):
        return tuple(column.kind for column in parse_columns(likelihood.columns))
    if likelihood.binary:
        return ("bernoulli",) * num_columns
    return ("counts" if likelihood.integers else "gaussian",) * num_columns
