"""Sources: data on the device, read by index. A protocol and its two implementations."""

import dataclasses
import functools
import math
from collections.abc import Mapping
from typing import Any, ClassVar, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from vae_jax.data import order, sprites
from vae_jax.data.hints import warn_pixel
from vae_jax.data.moments import Moments, measure
from vae_jax.data.rows import HostRows
from vae_jax.data.tables.schema import TableSchema
from vae_jax.data.text.alphabets import Alphabet
from vae_jax.types import Array, Batch, pytree_dataclass, static

MAX_PADDED = 2**24  # bytes of a padded source, which is written again at every evaluation


class Reader(Protocol):
    """The part of a source that compiled programs read, a pytree of arrays.

    Sources whose readers have the same structure and shapes share compiled programs.
    """

    def take(self, index: Array, key: Array) -> Batch:
        """The examples at index [B]; see `Source.take`."""


class Source(Protocol):
    """A pytree of arrays on the device, possibly without any."""

    @property
    def num_examples(self) -> int:
        """N."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The event, *E."""

    @property
    def value_range(self) -> tuple[float, float]:
        """Smallest and largest value."""

    @property
    def observed(self) -> Any:
        """The observed entries [N, *E], bool; None if no value is missing."""

    @property
    def reading(self) -> list[Any]:
        """The settings of `take`: scale, dynamic, start and shape; None for those it lacks."""

    @property
    def reader(self) -> Reader:
        """The same examples at the same indices, for compiled programs."""

    def take(self, index: Array, key: Array) -> Batch:
        """The examples at index [B]: "x" [B, *E] float32, "index", and "y" if there are labels.

        If values are missing, also "observed" [B, *E]: False at missing entries, where x is 0.
        `key` is for dynamic binarization.
        """

    def select(self, index: np.ndarray) -> "Source":
        """A source, in memory, of the examples at index [n]."""

    def all_labels(self) -> np.ndarray | None:
        """The labels [N] or [N, C] of all examples; None if there are none to read."""


@pytree_dataclass
class ArraySource:
    """Examples in an array, stored in their own dtype and converted batch by batch."""

    images: Any  # array [N, *E], uint8 or float32
    labels: Any = None  # array [N] or [N, C]; None if there are no labels
    scale: float = static(default=1.0)  # x = scale * images
    dynamic: bool = static(default=False)  # x ~ Bernoulli(scale * images), anew at each reading
    value_range: tuple[float, float] = static(default=(0.0, 1.0))
    observed: Any = None  # array [N, *E], bool; None if no value is missing

    @property
    def num_examples(self) -> int:
        return self.images.shape[0]

    @property
    def shape(self) -> tuple[int, ...]:
        return self.images.shape[1:]

    @property
    def reading(self) -> list[Any]:
        return [self.scale, self.dynamic, None, self.shape]

    @property
    def reader(self) -> "ArraySource":
        return self

    def select(self, index: np.ndarray) -> "ArraySource":
        labels, observed = (
            None if rows is None else rows[index] for rows in (self.labels, self.observed)
        )
        return dataclasses.replace(
            self, images=self.images[index], labels=labels, observed=observed
        )

    def all_labels(self) -> np.ndarray | None:
        return None if self.labels is None else np.asarray(self.labels)

    def take(self, index: Array, key: Array) -> Batch:
        # One event axis, for the reason given in `Distribution.log_prob`.
        flat = self.images.reshape(self.num_examples, -1)
        x = convert_rows(flat[index], self.scale, key if self.dynamic else None)
        x = x.reshape(*index.shape, *self.shape)
        y = None if self.labels is None else self.labels[index]
        observed = None
        if self.observed is not None:
            observed = self.observed.reshape(self.num_examples, -1)[index].reshape(x.shape)
        return make_batch(x, index, y, observed)


@pytree_dataclass
class PaddedSource:
    """The first `num_examples` examples of a reader: `reader` and `num_examples` of a source."""

    reader: ArraySource
    num_examples: int = static()


def pad_source(source: Any, num_rows: int) -> Any:
    """The examples of a source in arrays of `num_rows` rows, so that it shares compiled programs.

    Unchanged if it has `num_rows` or more, is not in memory, or would exceed `MAX_PADDED` bytes.
    """
    if not isinstance(source, ArraySource) or num_rows <= source.num_examples:
        return source
    num_bytes = sum(leaf.nbytes for leaf in jax.tree.leaves(source))
    if num_bytes / source.num_examples * num_rows > MAX_PADDED:
        return source
    num_added = num_rows - source.num_examples

    def pad(rows: Any) -> np.ndarray:
        return np.concatenate([rows, np.zeros((num_added, *rows.shape[1:]), rows.dtype)])

    return PaddedSource(jax.tree.map(pad, source), source.num_examples)


def make_batch(x: Array, index: Array, y: Array | None, observed: Array | None) -> Batch:
    """The batch of x [B, *E], with zeros at missing entries, and of what else there is."""
    batch = {"x": x if observed is None else jnp.where(observed, x, 0), "index": index}
    batch |= {} if y is None else {"y": y}
    return batch if observed is None else batch | {"observed": observed}


def convert_rows(rows: Array, scale: float, key: Array | None) -> Array:
    """Stored images [B, N] as the model sees them; binarized at random if given a key."""
    x = rows.astype(jnp.float32) * scale
    return x if key is None else _draw(key, x)


def _draw(key: Array, p: Array) -> Array:
    """Bernoulli draws with probabilities p [B, N], exact to 2^-17.

    Each random word gives two draws, which halves the cost.
    """
    threshold = jnp.round(p * 2**16).astype(jnp.uint32)
    half = -(-p.shape[1] // 2)
    bits = jax.random.bits(key, (len(p), half), jnp.uint32)
    low, high = bits & 0xFFFF, bits[:, : p.shape[1] - half] >> 16
    return jnp.concatenate([low < threshold[:, :half], high < threshold[:, half:]], axis=1).astype(
        jnp.float32
    )


@pytree_dataclass
class SpriteReader:
    """The sprites of the fixed shuffle from `start` on."""

    start: Any  # integer

    def take(self, index: Array, key: Array) -> Batch:
        del key
        shuffled = order.permute(index + self.start, sprites.NUM_IMAGES, jnp.uint32(0))
        classes = sprites.index_to_classes(shuffled)
        return {"x": sprites.render(classes), "y": classes, "index": index}


@pytree_dataclass
class SpriteSource:
    """A slice ``[start, start + num_examples)`` of a fixed shuffle of all sprites.

    Images are rendered when they are read; "y" contains their factors, which are not stored.
    `select` takes consecutive examples only.
    """

    start: int = static()
    num_examples: int = static()
    shape: tuple[int, ...] = static(default=(64, 64, 1))
    value_range: tuple[float, float] = static(default=(0.0, 1.0))
    observed: ClassVar[None] = None

    @property
    def reading(self) -> list[Any]:
        return [None, None, self.start, self.shape]

    @property
    def reader(self) -> SpriteReader:
        return SpriteReader(np.int32(self.start))

    def select(self, index: np.ndarray) -> "SpriteSource":
        return dataclasses.replace(self, start=self.start + int(index[0]), num_examples=len(index))

    def all_labels(self) -> None:
        return None

    def take(self, index: Array, key: Array) -> Batch:
        return self.reader.take(index, key)


@dataclasses.dataclass(frozen=True, eq=False)
class Dataset:
    """Three disjoint splits of a data set, and how they were made."""

    name: str
    train: Source
    valid: Source
    test: Source
    preparation: dict[str, Any]  # binarization, its seed, rule of the splits; stored in results
    factor_names: tuple[str, ...] = ()  # names of the columns of y, if they are generative factors
    table: TableSchema | None = None  # names and kinds of the columns of a table
    row_ids: Mapping[str, np.ndarray] | None = None  # identifiers [N] of the rows of each split
    text: Alphabet | None = None  # the tokens of lines of text
    hidden: Mapping[str, Any] | None = None  # true values of each split, see `data.hidden`

    @property
    def shape(self) -> tuple[int, ...]:
        return self.train.shape

    @property
    def num_dims(self) -> int:
        return math.prod(self.shape)

    @functools.cached_property
    def moments(self) -> Moments:
        """Moments of the training split by column or channel, read once; not for sprites."""
        images = self.train.images  # type: ignore[attr-defined]
        scale = self.train.scale  # type: ignore[attr-defined]
        observed = self.train.observed
        if not isinstance(images, HostRows):
            images = np.asarray(images)
            observed = None if observed is None else np.asarray(observed)
        moments = measure(images, scale, observed)
        value_range = self.preparation.get("ranges", {}).get("train")
        if len(self.shape) == 3 and value_range is not None:
            count = self.train.num_examples * math.prod(self.shape[:2])
            warn_pixel(moments, value_range, count, self.name)
        return moments
