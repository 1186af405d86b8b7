"""Images, rows of tables and counts as they are stored: checks and dtypes."""

import functools
import logging
from collections.abc import Mapping
from typing import Any

import numpy as np

from vae_jax.data.rows import HostRows
from vae_jax.errors import Argument, InputError

logger = logging.getLogger(__name__)

MAX_COUNT = 2**24  # beyond it, float32 skips some integers
SENSOR_BITS = (10, 12, 14, 16)  # depths of images stored in 16 bits
PLAIN_CHANNELS = (1, 2, 3, 4)
NAN_REMEDY = ("; if NaN are missing values, set ", Argument("missing"), " = True")


def as_array(values: Any, key: str, name: str, remedy: str = "") -> np.ndarray:
    """The values as an array of their shape; `remedy` ends the message about a mask.

    Raises:
      InputError: a ragged list, or a mask of numpy.ma.
    """
    if np.ma.is_masked(values) and remedy:
        raise InputError(f"{name}: {key} is a masked array; {remedy}")
    if np.ma.is_masked(values) and key.endswith("labels"):
        raise InputError(
            f"{name}: {key} is a masked array; fill it by -1, the class of examples without a label"
        )
    if np.ma.is_masked(values):
        raise InputError(
            f"{name}: {key} is a masked array; replace its masked entries by NaN and set ",
            Argument("missing"),
            " = True, or pass the opposite of its mask as an array of observed values",
        )
    try:
        return np.asarray(values)
    except ValueError as error:
        entries = (
            "images of unequal shapes" if key.endswith("images") else "entries of unequal lengths"
        )
        raise InputError(f"{name}: {key} holds {entries}; must be equal") from error


def convert_splits(
    arrays: Mapping[str, Any], *, name: str, values: str, lazy: tuple[str, ...] = ()
) -> tuple[dict[str, np.ndarray | HostRows], int]:
    """Images [N, *E] of each split as stored, and the bits of 16-bit images, else 0.

    See `convert_images`. Splits in `lazy` are converted when they are read.
    """
    bits = 0
    if values == "scaled":
        bits = max((_bits(images) for images in arrays.values()), default=0)
    converted: dict[str, np.ndarray | HostRows] = {}
    for split, images in arrays.items():
        convert = functools.partial(
            convert_images, key=f"{split}_images", name=name, values=values, bits=bits
        )
        if split in lazy and 0 not in images.shape:
            converted[split] = HostRows(images, functools.partial(convert, is_part=True))
        else:
            converted[split] = convert(images)
    return converted, bits


def _bits(images: Any) -> int:
    """The smallest of `SENSOR_BITS` that holds uint16 images; 0 if 8 do, or for other dtypes."""
    if images.dtype != np.uint16 or 0 in images.shape:
        return 0
    if isinstance(images, np.ndarray):
        largest = int(images.max())
    else:
        step = max(1, 2**24 // images[np.zeros(1, np.int64)].nbytes)
        starts = range(0, images.shape[0], step)
        largest = max(
            int(images[np.arange(i, min(i + step, images.shape[0]))].max()) for i in starts
        )
    return 0 if largest <= 255 else next(b for b in SENSOR_BITS if largest < 2**b)


def convert_images(
    images: np.ndarray,
    *,
    key: str,
    name: str,
    values: str,
    bits: int = 0,
    is_part: bool = False,
    nan_remedy: tuple[str, ...] = NAN_REMEDY,
) -> np.ndarray:
    """Images as stored, uint8 from 0 to 255 or finite float32, with a channel axis.

    [N, H, W] becomes [N, H, W, 1]; [N, D] and [N, H, W, C] keep their shape.

    With `bits`, uint16 images are float32 from 0 to 1, divided by 2^bits - 1. Counts are float32.
    `is_part` says that they are some of many rows, so that messages give no positions, and
    `nan_remedy` ends a message about NaN.

    Raises:
      InputError: objects, another number of axes, an empty array, or values that are not
        allowed.
    """
    if images.dtype == object:
        raise InputError(
            f"{name}: {key} holds objects or images of unequal shapes; must be an array of numbers"
        )
    if not 2 <= images.ndim <= 4:
        raise InputError(
            f"{name}: {key} has shape {images.shape}; must be [N, D], [N, H, W] or [N, H, W, C]"
        )
    if 0 in images.shape:
        raise InputError(f"{name}: {key} is empty, its shape is {images.shape}")
    images = images[..., None] if images.ndim == 3 else images
    if values == "counts":
        return _counts(images, key=key, name=name, nan_remedy=nan_remedy)
    if images.dtype in (bool, np.uint8):
        return images.astype(np.uint8)
    if bits and images.dtype == np.uint16:
        return images.astype(np.float32) / np.float32(2**bits - 1)
    if images.dtype.kind in "iu":
        if images.min() < 0 or images.max() > 255:
            raise InputError(
                f"{name}: {key} has integers from {images.min()} to {images.max()}; "
                "must be 0 to 255, or else floats (uint16 images are divided by their bits; counts "
                "need ",
                Argument("values"),
                " = 'counts')",
            )
        return images.astype(np.uint8)
    if not np.issubdtype(images.dtype, np.floating):
        raise _dtype_error(images, key, name)
    with np.errstate(over="ignore"):
        images = images.astype(np.float32)
    is_bad = ~np.isfinite(images)
    if is_bad.any():
        first = "" if is_part else f", the first at {tuple(map(int, np.argwhere(is_bad)[0]))}"
        raise InputError(
            f"{name}: {key} has {int(is_bad.sum())} values that are NaN or infinite as "
            f"float32{first}; must be finite",
            *(nan_remedy if np.isnan(images).any() else ()),
        )
    return images


def _counts(images: np.ndarray, *, key: str, name: str, nan_remedy: tuple[str, ...]) -> np.ndarray:
    """Counts as float32; raises InputError for values that are not counts, from NaN to text."""
    if images.dtype.kind not in "biuf":
        raise _dtype_error(images, key, name)
    if images.dtype == np.float16:
        images = images.astype(np.float32)  # float16 can't represent MAX_COUNT
    if images.dtype != bool:
        valid = (images >= 0) & (images <= MAX_COUNT) & (images == np.floor(images))
        if not valid.all():
            wrong = images[~valid]
            raise InputError.of(
                "values",
                "counts",
                f"{name}: {key} has {len(wrong)} values that are not counts, such as {wrong[0]}; "
                f"must be integers from 0 to {MAX_COUNT}",
                *(nan_remedy if np.isnan(wrong).any() else ()),
            )
    return images.astype(np.float32)


def _dtype_error(images: np.ndarray, key: str, name: str) -> InputError:
    return InputError(
        f"{name}: {key} has dtype {images.dtype}; allowed are integers, floats and booleans"
    )


def describe_shape(shape: tuple[int, ...]) -> str:
    """Describe the shape of an example: 'images of 16x16 with 3 channels', 'rows of 30 columns'.

    Height comes before width.
    """
    if len(shape) != 3:
        size = "x".join(map(str, shape))
        return f"rows of {size} column{'s' if size != '1' else ''}"
    height, width, channels = shape
    return f"images of {height}x{width} with {channels} channel{'s' if channels > 1 else ''}"


def warn_axes(shape: tuple[int, ...], name: str) -> None:
    """Warn about channels before height and width, and about volumes read as images."""
    if len(shape) != 3 or shape[-1] in PLAIN_CHANNELS:
        return
    read = f"read as {describe_shape(shape)}"
    if shape[0] in PLAIN_CHANNELS:
        logger.warning(
            "%s: its shape [N, %d, %d, %d] is %s; if the channels come first, save "
            "numpy.moveaxis(x, 1, -1)",
            *(name, *shape, read),
        )
    else:
        logger.warning(
            "%s: its shape [N, %d, %d, %d] is %s; volumes have no model here, each slice of the "
            "last axis is a channel, and if the channels come first, save numpy.moveaxis(x, 1, -1)",
            *(name, *shape, read),
        )
