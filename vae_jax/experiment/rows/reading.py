"""Rows in parts: of a split of the run's data, or of a file in the form of the training data."""

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import jax
import numpy as np

from vae_jax.data import Source
from vae_jax.data.images import describe_shape
from vae_jax.data.inputs import Inputs
from vae_jax.data.tables.schema import TableSchema
from vae_jax.errors import InputError, prefix_arguments
from vae_jax.experiment.rows.array_reading import LoadedMember, Member, open_arrays


@dataclasses.dataclass(frozen=True)
class Rows:
    """Consecutive rows of a source."""

    start: int  # number of the first
    x: np.ndarray  # [n, *E], in the form of the training data
    y: np.ndarray | None = None  # [n] or [n, C]
    observed: np.ndarray | None = None  # [n, *E]; None if all are
    identifiers: np.ndarray | None = None  # [n]; None if rows are numbered from 0
    # columns [n] as they were read, by name: texts of a CSV file, or series of pandas
    cells: Mapping[str, Any] | None = None

    def __len__(self) -> int:
        return len(self.x)

    def pad(self, size: int) -> "Rows":
        """The rows with copies of the last one, `size` in all."""
        return self.select(np.minimum(np.arange(size), len(self) - 1))

    def select(self, places: np.ndarray) -> "Rows":
        """Rows at some places."""
        arrays = {
            name: None if (values := getattr(self, name)) is None else values[places]
            for name in ("x", "y", "observed", "identifiers")
        }
        cells = None
        if self.cells is not None:
            cells = {
                name: column[places] if isinstance(column, np.ndarray) else column.iloc[places]
                for name, column in self.cells.items()
            }
        return dataclasses.replace(self, **arrays, cells=cells)

    def names(self) -> np.ndarray:
        """The identifiers [n] of the rows, by default their numbers from 0."""
        if self.identifiers is not None:
            return self.identifiers
        return self.start + np.arange(len(self))


class Reader(Protocol):
    """Rows that are read in their order."""

    num_rows: int | None  # None if unknown before the end
    is_prepared: bool  # True if x and y are as the model needs them
    has_labels: bool
    identifier: str | None  # name of the column of identifiers; None if rows are numbered
    schema: TableSchema | None  # names of the columns, if they have any

    def parts(self, size: int) -> Iterator[Rows]:
        """The rows, `size` at a time."""


@dataclasses.dataclass(frozen=True)
class SplitReader:
    """The examples of a split of the run's data."""

    source: Source
    key: Any
    identifiers: np.ndarray | None = None  # [N]; None if rows are numbered in the split
    identifier: str | None = None
    cells: Mapping[str, Any] | None = None  # columns [N] as they were read
    is_prepared = True
    schema = None

    @property
    def num_rows(self) -> int:
        return self.source.num_examples

    @property
    def has_labels(self) -> bool:
        index = jax.ShapeDtypeStruct((1,), np.int32)
        return "y" in jax.eval_shape(self.source.take, index, self.key)

    def parts(self, size: int) -> Iterator[Rows]:
        take = jax.jit(lambda source, index, key: source.take(index, key))
        for start in range(0, self.num_rows, size):
            index = np.arange(start, start + size)
            inside = np.minimum(index, self.num_rows - 1)  # one program for all parts
            key = jax.random.fold_in(self.key, start)
            batch = jax.device_get(take(self.source, inside, key))
            batch = {name: rows[: self.num_rows - start] for name, rows in batch.items()}
            ids = None if self.identifiers is None else self.identifiers[start : start + size]
            cells = None
            if self.cells is not None:
                cells = {name: column[start : start + size] for name, column in self.cells.items()}
            yield Rows(start, batch["x"], batch.get("y"), batch.get("observed"), ids, cells)


@dataclasses.dataclass(frozen=True)
class ArrayReader:
    """The rows of an .npz or .npy file."""

    path: str
    members: dict[str, Member | LoadedMember]
    is_prepared = False
    identifier = None
    schema = None

    @property
    def num_rows(self) -> int:
        return self.members["images"].shape[0]

    @property
    def has_labels(self) -> bool:
        return "labels" in self.members

    def parts(self, size: int) -> Iterator[Rows]:
        for start in range(0, self.num_rows, size):
            count = min(size, self.num_rows - start)
            try:
                arrays = {role: member.read(count) for role, member in self.members.items()}
            except Exception as error:  # decompressors raise many types
                raise InputError(f"data = {self.path!r}: cannot be read ({error})") from error
            yield Rows(start, arrays["images"], arrays.get("labels"), arrays.get("observed"))


@contextlib.contextmanager
def open_array_reader(path: str, inputs: Inputs) -> Iterator[ArrayReader]:
    """Open the arrays of a file.

    Raises:
      InputError: the rows have another shape than the training data, or another number of labels.
    """
    names = {"path": "data", "columns": "data"}
    with prefix_arguments("config.data", **names), open_arrays(path) as members:
        images = members["images"]
        where = f"data = {path!r}: {images.name!r}"
        if not images.shape[0]:
            raise InputError(f"{where} has no rows")
        try:
            inputs.with_channel(images.shape)
        except InputError as error:
            sizes = ", ".join(map(str, inputs.shape))
            raise InputError(
                f"{where} has shape {images.shape}; the model was trained on [N, {sizes}], "
                f"{describe_shape(inputs.shape)}"
            ) from error
        for role in members.keys() - {"images"}:
            rows = members[role]
            if rows.shape[0] != images.shape[0]:
                raise InputError(
                    f"data = {path!r}: {rows.name!r} has {rows.shape[0]} rows, {images.name!r} has "
                    f"{images.shape[0]}; must be equal"
                )
        yield ArrayReader(path, members)
