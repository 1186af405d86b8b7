"""From examples to the bytes of pixels: one scale for a whole grid, channels, and tiles."""

from collections.abc import Iterable

import numpy as np

RANGES = ((0.0, 1.0), (-1.0, 1.0))  # range of stored images
HATCH = ((150, 165, 190), (222, 226, 232))  # colors of the stripes of missing values, and between
TILE = 72  # pixels: small images are enlarged to about this size, by a whole factor
MAX_TILE = 128  # pixels: larger images are reduced, by averages over blocks


def is_image(shape: tuple[int, ...]) -> bool:
    """True for an event [H, W, C]."""
    return len(shape) == 3


def find_range(arrays: Iterable[np.ndarray]) -> tuple[float, float]:
    """The first of `RANGES` that holds all finite values of arrays of any shape.

    If none does, the smallest and the largest value.
    """
    low, high = np.inf, -np.inf
    for values in arrays:
        finite = values[np.isfinite(values)]
        if finite.size:
            low, high = min(low, float(finite.min())), max(high, float(finite.max()))
    for bottom, top in RANGES:
        if bottom <= low and high <= top:
            return bottom, top
    return (low, high) if low <= high else RANGES[0]


def to_bytes(images: np.ndarray, value_range: tuple[float, float]) -> np.ndarray:
    """Map values linearly from `value_range` to 0..255, elementwise, and clip the rest.

    If the range is a single number, it becomes 128. Values that are not finite become 0.
    """
    low, high = value_range
    width = high - low
    unit = (images - low) / width if width > 0 else images - low + 128 / 255
    unit = np.where(np.isfinite(unit), unit, 0.0)
    return np.round(np.clip(unit, 0, 1) * 255).astype(np.uint8)


def hatch(tiles: np.ndarray, missing: np.ndarray) -> np.ndarray:
    """The bytes [N, h, w, 3] with diagonal stripes where `missing` [N, h, w] is True."""
    height, width = missing.shape[1:]
    is_stripe = (np.arange(height)[:, None] + np.arange(width)) % 6 < 2
    pattern = np.where(is_stripe[..., None], *np.array(HATCH, np.uint8))
    return np.where(missing[..., None], pattern, tiles)


def to_rgb(images: np.ndarray) -> tuple[np.ndarray, str]:
    """Colors [N, H, W, 3] of images [N, H, W, C] of any kind, and a note on the channels, or "".

    One channel is gray and three are red, green and blue. Two channels are gray, side by side; of
    four, the first three are a color and the fourth is a gray image next to it. Of more channels,
    the mean is gray, over channels that are not NaN.
    """
    channels = images.shape[-1]
    if channels == 3:
        return images, ""
    if channels == 4:
        parts = [images[..., :3], _gray(images[..., 3])]
        note = "the fourth channel in gray next to the first three"
    elif channels == 2:
        parts, note = [_gray(images[..., c]) for c in range(2)], "two channels side by side"
    else:
        note = f"mean of {channels} channels" if channels > 1 else ""
        parts = [_gray(_observed_mean(images) if channels > 1 else images[..., 0])]
    return np.concatenate(parts, axis=2), note


def _observed_mean(images: np.ndarray) -> np.ndarray:
    """The mean over the last axis of the values that are not NaN; NaN without any."""
    missing = np.isnan(images)
    if not missing.any():
        return images.mean(-1)
    count = (~missing).sum(-1)
    total = np.where(missing, 0, images).sum(-1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _gray(plane: np.ndarray) -> np.ndarray:
    return np.repeat(plane[..., None], 3, axis=-1)


def reduce_size(images: np.ndarray) -> np.ndarray:
    """Average blocks of images [N, H, W, C] so that no side is longer than `MAX_TILE`.

    The averages omit missing values, NaN.
    """
    factor = -(-max(images.shape[1:3]) // MAX_TILE)
    if factor == 1:
        return images
    missing = np.isnan(images)
    if missing.any():
        share = _reduce((~missing).astype(np.float64), factor)
        return _reduce(np.where(missing, 0, images), factor) / np.where(share > 0, share, np.nan)
    return _reduce(images, factor)


def _reduce(images: np.ndarray, factor: int) -> np.ndarray:
    """The means of blocks of `factor` pixels on a side; the last ones may be smaller."""
    for axis in (1, 2):
        starts = np.arange(0, images.shape[axis], factor)
        counts = np.diff(np.append(starts, images.shape[axis]))
        shape = [1, 1, 1, 1]
        shape[axis] = len(starts)
        images = np.add.reduceat(images, starts, axis=axis) / counts.reshape(shape)
    return images


def enlarge(pixels: np.ndarray) -> np.ndarray:
    """Repeat the pixels of [N, H, W, 3] so that the longer side is about `TILE`."""
    factor = max(1, int(TILE / max(pixels.shape[1:3]) + 0.5))
    return pixels.repeat(factor, axis=1).repeat(factor, axis=2)
