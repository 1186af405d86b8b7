"""Warnings about values that are probably meant in another way than they are read."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from vae_jax.data.values import Values

logger = logging.getLogger(__name__)

DARK = 64  # integers up to this one are hardly images of 8 bits
SHOWN = 5  # classes named in one warning
FEW = 50  # examples below which the range of a split says little
COUNTS = "for counts, set values = 'counts'"


def warn_values(values: Values, name: str) -> None:
    """Warn about small integers that are divided by 255, and about integers stored as floats."""
    if values.integer and not values.binary and values.high <= DARK:
        high = f"{values.high:g}"
        logger.warning(
            "%s: integers from %g to %s are divided by 255, to at most %.2g; for images of %s gray "
            "levels, save x / %s; %s",
            *(name, values.low, high, values.high / 255, f"{values.high + 1:g}", high, COUNTS),
        )
    if values.whole and values.high > 1:
        remedy = "save 8-bit images as uint8; " if values.high <= 255 else ""
        logger.warning(
            "%s: floats that are integers from %g to %g are read as real numbers; %s%s",
            *(name, values.low, values.high, remedy, COUNTS),
        )


def warn_ranges(
    ranges: Mapping[str, tuple[float, float]], sizes: Mapping[str, int], name: str
) -> None:
    """Warn about images of a split whose range is not that of train.

    Args:
      ranges: lowest and highest value of each split.
      sizes: number of examples of each split.
      name: name of the data set.
    """
    low, high = ranges["train"]
    margin = (high - low) / 3
    for split, (lowest, highest) in ranges.items():
        outside = lowest < low - margin or highest > high + margin
        inside = sizes[split] >= FEW and (lowest > low + margin or highest < high - margin)
        if outside or inside:
            logger.warning(
                "%s: %s_images has values from %.4g to %.4g, train from %.4g to %.4g; the splits "
                "must have one scale",
                *(name, split, lowest, highest, low, high),
            )


def warn_classes(labels: Mapping[str, Any], names: Sequence[str], name: str) -> None:
    """Warn about classes of a split that no training example has.

    Args:
      labels: labels [N] by split; of another shape or on disk they are not checked.
      names: names of the classes, if they are texts.
      name: name of the data set.
    """
    classes = {split: y for split, y in labels.items() if _are_classes(y)}
    train = classes.pop("train", None)
    if train is None or len(np.unique(train)) * 2 > len(train):
        return
    for split, y in classes.items():
        new = np.setdiff1d(y, train)
        if len(new):
            shown = ", ".join(names[i] if names else str(i) for i in new[:SHOWN])
            more = f" and {len(new) - SHOWN} more" if len(new) > SHOWN else ""
            logger.warning(
                "%s: %s_labels has classes that train_labels has not: %s%s",
                *(name, split, shown, more),
            )


def _are_classes(y: Any) -> bool:
    return isinstance(y, np.ndarray) and y.ndim == 1 and y.dtype.kind == "i"
