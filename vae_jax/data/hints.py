"""Warnings about values that are probably meant in another way than they are read."""

import logging
import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from vae_jax.data.moments import Moments, Sums
from vae_jax.data.values import Values

logger = logging.getLogger(__name__)

FAR = 10  # standard deviations that values of few images may be away
DARK = 64  # integers up to this one are hardly images of 8 bits
SHOWN = 5  # classes named in one warning
FEW = 50  # examples below which the range of a split says little
FEW_COUNTS = 5  # examples below which the mean of their counts says little
FEW_EVENTS = 100  # sum of counts below which it says little
SURE = 5  # standard errors between two means that differ for certain
PIXELS = 200  # integers of rows below it are hardly pixels, if they aren't stored in 8 bits
OTHER_TOTAL = 10  # ratio of mean counts beyond which a split has another depth than train
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


def warn_table_of_integers(values: Values, dtypes: Collection[np.dtype], name: str) -> None:
    """Warn about rows of integers that are read as 8-bit pixels, unless they are stored so.

    Args:
      values: survey of all splits.
      dtypes: of the splits, as they were given.
      name: name of the data set.
    """
    is_pixels = all(dtype in (np.uint8, bool) for dtype in dtypes)
    if is_pixels or not values.integer or not DARK < values.high < PIXELS:
        return
    logger.warning(
        "%s: rows of integers from %g to %g are divided by 255, as pixels of 8 bits; save a table "
        "as floats; %s",
        *(name, values.low, values.high, COUNTS),
    )


def warn_counts(rows: Mapping[str, Sums], num_counts: int, name: str) -> None:
    """Warn about counts of a split that are far more, or fewer, than those of train.

    Their means differ by a factor, and by more than chance gives: by several standard errors, of
    examples with the larger variance of both splits.

    Args:
      rows: number, mean and spread of the mean counts of the examples of each split.
      num_counts: number of counts of an example.
      name: name of the data set.
    """
    train = rows["train"]
    for split, own in rows.items():
        mean, train_mean = float(own.mean), float(train.mean)
        low, high = sorted((mean, train_mean))
        size = min(own.count, train.count)
        events = high * own.count * num_counts
        if size < FEW_COUNTS or events < FEW_EVENTS or high <= OTHER_TOTAL * low:
            continue
        spread = max(float(own.stddev), float(train.stddev))
        if high - low > SURE * spread * math.sqrt(1 / own.count + 1 / train.count):
            logger.warning(
                "%s: %s_images has a mean count of %.4g, train of %.4g; the splits must have one "
                "scale",
                *(name, split, mean, train_mean),
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


def warn_pixel(moments: Moments, value_range: tuple[float, float], count: int, name: str) -> None:
    """Warn if one value makes up much of the variance of all training images, such as 1e20.

    Args:
      moments: of train, by channel.
      value_range: lowest and highest value of train.
      count: number of values of a channel.
      name: name of the data set.
    """
    low, high = value_range
    value = np.where(high - moments.mean > moments.mean - low, high, low)
    distance, varies = np.abs(value - moments.mean), moments.stddev > 0
    distance = np.divide(distance, moments.stddev, out=np.full_like(distance, np.inf), where=varies)
    channel = int(distance.argmin())  # the widest, in which the value is
    # At most sqrt(count), for one value that is all of the variance; half of it here. A value that
    # is farther is that of another channel, a constant one.
    bound = math.sqrt(count)
    if max(FAR, 0.7 * bound) < distance[channel] < 1.01 * bound:
        logger.warning(
            "%s: train_images has the value %g, %.3g standard deviations from the mean, so that "
            "the scale of all images is that of this value; if it is an error, correct it",
            *(name, value[channel], distance[channel]),
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
