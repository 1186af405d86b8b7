"""Missing values: NaN, or entries that an array of observed ones excludes.

>>> x = np.array([[1.0, np.nan], [3.0, 4.0]])
>>> separate(x, None, Names("table", "x", "observed"))
(array([[1., 0.],
       [3., 4.]]), array([[ True, False],
       [ True,  True]]))
"""

from typing import NamedTuple

import numpy as np

from vae_jax.errors import InputError

NUMBERS = "biuf"  # kinds of dtype


class Names(NamedTuple):
    """Names in messages: of the data set, of its values, and of their mask."""

    data: str
    images: str
    observed: str


def separate(
    images: np.ndarray, mask: np.ndarray | None, names: Names, *, is_part: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Images [N, *E] with zeros at missing entries, and the observed entries, bool.

    An entry is missing if it is NaN, or False in `mask` [N, *E], whatever its value is. A mask
    [N, H, W] is for all channels of images [N, H, W, C].

    Args:
      images: numbers.
      mask: booleans, or 0 and 1; None if the missing entries are NaN.
      names: for messages.
      is_part: they are some of many rows, so that messages give no positions.

    Returns:
      The images, and the observed entries [N, *E], with the channel axis that images [N, H, W] get.

    Raises:
      InputError: a mask of another shape or with other values, or a NaN that is observed by it.
    """
    is_nan = np.isnan(images) if images.dtype.kind == "f" else np.zeros(images.shape, bool)
    if mask is None:
        observed = ~is_nan
    else:
        observed = _as_bool(mask, images.shape, names)
        wrong = is_nan & observed
        if wrong.any():
            first = "" if is_part else f", the first at {tuple(map(int, np.argwhere(wrong)[0]))}"
            raise InputError(
                f"{names.data}: {names.images} has {int(wrong.sum())} NaN that are observed by "
                f"{names.observed}{first}; must be False there, or the value a number"
            )
    if images.dtype.kind in NUMBERS and not observed.all():
        images = np.where(observed, images, np.zeros((), images.dtype))
    return images, observed[..., None] if images.ndim == 3 else observed


def check_shape(mask: tuple[int, ...], images: tuple[int, ...], names: Names) -> None:
    """Raises InputError if a mask has another shape than its images, except for channels."""
    allowed = {images}
    if len(images) == 4:
        allowed |= {images[:-1], (*images[:-1], 1)}
    if len(images) == 3:
        allowed.add((*images, 1))
    if mask not in allowed:
        per_pixel = f", or {images[:-1]} for all channels of a pixel" if len(images) == 4 else ""
        raise InputError(
            f"{names.data}: {names.observed} has shape {mask} for {names.images} of shape "
            f"{images}; must be {images}{per_pixel}"
        )


def _as_bool(mask: np.ndarray, shape: tuple[int, ...], names: Names) -> np.ndarray:
    """A mask as booleans of the shape of the images."""
    where = f"{names.data}: {names.observed} has"
    check_shape(mask.shape, shape, names)
    if mask.dtype.kind not in NUMBERS:
        raise InputError(f"{where} dtype {mask.dtype}; must be booleans, or 0 and 1")
    wrong = (mask != 0) & (mask != 1)
    if wrong.any():
        raise InputError(
            f"{where} values such as {mask[wrong][0]}; must be True, or 1, for observed values, "
            "and False, or 0, for missing ones"
        )
    if mask.ndim > len(shape):
        mask = mask[..., 0]
    if mask.ndim < len(shape):
        mask = mask[..., None]
    return np.broadcast_to(mask.astype(bool), shape)
