"""Conversion of examples for a trained model: form and scale of its training data."""

import dataclasses
import logging
from collections.abc import Mapping
from typing import Any, Self

import numpy as np

from vae_jax.data.binarization import binarize
from vae_jax.data.images import convert_images, describe_shape
from vae_jax.data.missing import Names, separate
from vae_jax.data.sources import Dataset
from vae_jax.data.splits import SPLITS
from vae_jax.data.tables.schema import TableSchema
from vae_jax.data.text.alphabets import Alphabet
from vae_jax.data.text.inputs import convert_texts
from vae_jax.errors import InputError

logger = logging.getLogger(__name__)

TEST = SPLITS.index("test")
GRAY_LEVEL = 1.001 / 255  # largest value of images from 0 to 1 that are nearly black
IMAGE_MARGIN = 0.5  # share of the range of images; values beyond it have another scale
TABLE_MARGIN = 15.0  # the same for tables, whose anomalies may be far away
GIVEN = "the examples given to the model"
NO_MISSING = (
    "; the model was trained without missing values: pass `observed`, False at such entries"
)
NO_MASK = "; here no value may be missing"


@dataclasses.dataclass(frozen=True)
class Inputs:
    """The form of the examples that a model was trained on.

    >>> inputs = Inputs((2, 2, 1), scale=1 / 255)
    >>> inputs.convert(np.full((3, 2, 2), 255, np.uint8)).shape  # without the channel axis
    (3, 2, 2, 1)
    >>> inputs.convert(np.full((3, 2, 2, 1), 255.0))
    Traceback (most recent call last):
    vae_jax.errors.InputError: x has values from 255 to 255, the model was trained on 0 to 1: \
divide by 255, or pass integers, which are scaled
    """

    shape: tuple[int, ...]  # *E
    value_range: tuple[float, float] = (0.0, 1.0)  # range of the values that the model sees
    values: str = "scaled"  # or "counts" or "tokens"
    scale: float = 1.0  # factor from stored integers to values of the model
    bits: int = 0  # depth of 16-bit images, which sets their scale
    binarization: str = "none"
    classes: tuple[str, ...] = ()  # names of text labels, in the order of their numbers
    table: TableSchema | None = None  # names and kinds of the columns of a table
    missing: bool = False  # True if NaN are missing values
    text: Alphabet | None = None  # the tokens of lines of text

    @classmethod
    def of(cls, dataset: Dataset) -> Self:
        """The form of the examples of a data set."""
        preparation = dataset.preparation
        low, high = dataset.train.value_range
        return cls(
            shape=tuple(dataset.shape),
            value_range=(float(low), float(high)),
            values=preparation["values"],
            scale=float(preparation["scale"]),
            bits=int(preparation.get("bits", 0)),
            binarization=preparation["binarization"],
            classes=tuple(preparation.get("classes", ())),
            table=dataset.table,
            missing="missing" in preparation,
            text=dataset.text,
        )

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Rebuild from the fields as JSON has them.

        Raises KeyError, TypeError or ValueError if damaged.
        """
        low, high = values["value_range"]
        entries = {**values, "value_range": (float(low), float(high))}
        if values.get("table") is not None:
            entries["table"] = TableSchema.from_json(values["table"])
        if values.get("text") is not None:
            entries["text"] = Alphabet.from_json(values["text"])
        return cls(**entries | {key: tuple(values[key]) for key in ("shape", "classes")})

    def with_channel(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape [B, *E] of x, whose axis of one channel may be missing.

        Raises:
          InputError: any other shape.
        """
        if shape[1:] == self.shape:
            return shape
        if self.shape[-1] == 1 and len(self.shape) == 3 and shape[1:] == self.shape[:-1]:
            return (*shape, 1)
        allowed = f"[B, {', '.join(map(str, self.shape))}], {describe_shape(self.shape)}"
        hint = "; of one example pass x[None]" if shape in (self.shape, self.shape[:-1]) else ""
        raise InputError(f"x has shape {shape}: must be {allowed}{hint}")

    def convert(self, x: Any) -> np.ndarray:
        """X [B, *E] as float32 in the range of the model, by the rules of `from_arrays`.

        Images may lack their channel axis. Integers 0 to 255 are scaled as the integers of the
        training data were; floats must already be in the range of the data. Lines of text become
        rows of token numbers.

        Raises:
          InputError: another shape, values that are not finite, or on another scale.
        """
        if self.text is not None:
            return convert_texts(self.text, x, self.shape[0])[0]
        return self._convert(x, None)

    def convert_observed(
        self, x: Any, observed: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """X as of `convert`, with zeros at missing entries, and the observed ones [B, *E], bool.

        These are None if neither the training data nor x may have missing values. Of lines of text
        they are the entries up to the end of each line.

        >>> inputs = Inputs((2,), (-9.0, 9.0), missing=True)
        >>> inputs.convert_observed(np.array([[1.0, np.nan]]))
        (array([[1., 0.]], dtype=float32), array([[ True, False]]))

        Args:
          x: with NaN at missing entries, if the training data had missing values. Lines of text,
            or their rows of token numbers [B, L], if the training data were lines.
          observed: False, or 0, at missing entries, whatever their value is; of the shape of x, or
            [B, H, W] for all channels of images.

        Raises:
          InputError: as `convert`, for the observed entries; or a NaN that `observed` says is
            observed.
        """
        if self.text is not None:
            return convert_texts(self.text, x, self.shape[0], observed)
        if observed is None and not self.missing:
            return self.convert(x), None
        shape = self.with_channel(x.shape)
        filled, mask = separate(x, observed, Names(GIVEN, "x", "observed"))
        mask = mask.reshape(shape)
        return self._convert(filled, mask), mask

    def _convert(self, x: np.ndarray, observed: np.ndarray | None) -> np.ndarray:
        shape = self.with_channel(x.shape)
        is_bool = x.dtype == bool
        rows = convert_images(
            x,
            key="x",
            name=GIVEN,
            values=self.values,
            bits=self.bits,
            nan_remedy=(NO_MASK if self.missing else NO_MISSING,),
        )
        rows = rows.reshape(shape)
        if self.values == "counts" or is_bool:
            return rows.astype(np.float32)
        if rows.dtype == np.uint8:
            scaled = rows.astype(np.float32) * np.float32(self.scale)
            remedy = "they are not scaled, for the training data were not"
            self._check_range(scaled, observed, remedy=remedy)
            return scaled
        remedy = "pass them on the scale of the training data"
        if self.value_range == (0.0, 1.0):
            remedy = "divide by 255, or pass integers, which are scaled"
            if self.scale == 1:
                remedy = "scale them as the training data were"
        self._check_range(rows, observed, remedy=remedy)
        return rows

    def _check_range(self, x: np.ndarray, observed: np.ndarray | None, *, remedy: str) -> None:
        """Raises InputError if observed values have another scale than in training."""
        x = x if observed is None else x[observed]
        if not x.size:
            return
        low, high = self.value_range
        margin = (high - low) * (IMAGE_MARGIN if len(self.shape) == 3 else TABLE_MARGIN)
        smallest, largest = float(x.min()), float(x.max())
        if smallest < low - margin or largest > high + margin:
            raise InputError(
                f"x has values from {smallest:g} to {largest:g}, the model was trained on {low:g} "
                f"to {high:g}: {remedy}"
            )
        if len(self.shape) == 3 and self.value_range == (0.0, 1.0) and 0 < largest <= GRAY_LEVEL:
            logger.warning(
                "x has values from %.2g to %.2g, the model was trained on 0 to 1: the images are "
                "nearly black; if they were on another scale, such as integers 0 and 1, pass "
                "booleans, or values up to 1",
                *(smallest, largest),
            )

    def binarize(self, x: np.ndarray, start: int = 0) -> np.ndarray:
        """Converted x [B, *E] as the binarized test set: the same draws for the same positions.

        The positions are `start`, `start + 1`, and so on.
        """
        if self.binarization == "none" or ((x == 0) | (x == 1)).all():
            return x
        rule = "threshold" if self.binarization == "threshold" else "static"
        return binarize(x, 1.0, rule, TEST, start + np.arange(len(x))).astype(np.float32)
