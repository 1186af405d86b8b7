"""Missing values of the splits of a data set: where they are, and how many."""

import functools
import logging
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from vae_jax.data.missing import Names, check_shape, separate
from vae_jax.data.moments import read_rows
from vae_jax.data.rows import HostRows, IncompleteRows
from vae_jax.errors import Argument, InputError

logger = logging.getLogger(__name__)

IMAGES, OBSERVED = "_images", "_observed"
SHOWN = 5  # columns named in one message


def mark_missing(
    arrays: Mapping[str, Any],
    *,
    missing: bool,
    lazy: Collection[str],
    name: str,
    needs_missing: bool = True,
) -> dict[str, Any]:
    """The arrays with zeros at missing entries, and with the observed entries of each split.

    Args:
      arrays: by canonical name, such as `train_images` and `train_observed`.
      missing: False: nothing is changed, and a mask is an error.
      lazy: names of images that stay on disk or on the host.
      name: name of the data set.
      needs_missing: False: no warning if nothing is missing.

    Returns:
      If a value of any split is missing, `<split>_observed` [N, *E], bool, for all splits; with a
      channel axis if the images get one. Lazy images become `IncompleteRows` instead, which have
      the mask. If nothing is missing, the arrays without masks.

    Raises:
      InputError: see `separate`; or a mask without images, or if `missing` is False.
    """
    for key in arrays:
        split = key.removesuffix(OBSERVED)
        if split == key:
            continue
        if not missing:
            raise InputError(
                f"{name}: {key} tells which values are observed, and is read with ",
                Argument("missing"),
                " = True; set it, or remove the array",
            )
        if split + IMAGES not in arrays:
            raise InputError(f"{name}: {key} without {split}_images; it has {sorted(arrays)}")
    if not missing:
        return dict(arrays)
    plain = {key: rows for key, rows in arrays.items() if not key.endswith(OBSERVED)}
    marked = dict(plain)
    is_complete = True
    for key, images in plain.items():
        if not key.endswith(IMAGES) or not images.shape or 0 in images.shape:
            continue  # an empty array is an error, but of another kind
        split = key.removesuffix(IMAGES)
        names = Names(name, key, split + OBSERVED)
        mask = arrays.get(names.observed)
        if mask is not None:
            check_shape(tuple(mask.shape), tuple(images.shape), names)
        if key not in lazy:
            marked[key], marked[names.observed] = separate(images, mask, names)
            is_complete &= _is_complete(marked[names.observed], names)
            continue
        some = functools.partial(separate, names=names, is_part=True)
        marked[key] = IncompleteRows(images, mask, some)
        if images.dtype.kind == "f" or mask is not None:
            is_complete &= _is_complete(HostRows(marked[key], np.asarray).observed, names)
    if is_complete:
        if needs_missing:
            warn_complete(name)
        return plain
    return marked


def warn_complete(name: str) -> None:
    """Warn that a data set has no missing values although they are allowed."""
    logger.warning("%s: no value is missing, so missing = True changes nothing", name)


def _is_complete(observed: Any, names: Names) -> bool:
    """True if all entries [N, *E] are observed; warns about rows without any."""
    is_complete, count, first, start = True, 0, -1, 0
    for part in read_rows(observed):
        flat = part.reshape(len(part), -1)
        is_complete &= bool(flat.all())
        empty = np.flatnonzero(~flat.any(1))
        if len(empty) and first < 0:
            first = start + int(empty[0])
        count += len(empty)
        start += len(flat)
    if count:
        logger.warning(
            "%s: %s: rows without an observed value: %d, the first is row %d; they stay, with "
            "log p(x) = 0",
            *(names.data, names.images, count, first),
        )
    return is_complete


def summarize(observed: Mapping[str, np.ndarray | HostRows], name: str) -> dict[str, float]:
    """The share of missing entries of each split.

    Args:
      observed: entries [N, *E] of each split.
      name: name of the data set.

    Raises:
      InputError: nothing of a split, or of a column or channel of train, is observed.
    """
    shares = {}
    for split, mask in observed.items():
        count = count_observed(mask, split, name)
        if split == "train":
            _check_columns(count, name)
        num_values = count.size * len(mask)
        shares[split] = (num_values - int(count.sum())) / num_values
    return shares


def count_observed(mask: np.ndarray | HostRows, split: str, name: str) -> np.ndarray:
    """The numbers [*E] of observed entries [N, *E]; raises InputError if none is observed."""
    count = np.zeros(mask.shape[1:], np.int64)
    for part in read_rows(mask):
        count += part.sum(0)
    if not count.any():
        raise InputError(f"{name}: {split}{IMAGES} has no observed value; it must have some")
    return count


def _check_columns(count: np.ndarray, name: str) -> None:
    """Check the numbers [*E] of observed training values; warns about pixels without any."""
    is_image = count.ndim == 3
    noun = "channel" if is_image else "column"
    never = np.flatnonzero(count.reshape(-1, count.shape[-1]).sum(0) == 0)
    if len(never):
        more = f" and {len(never) - SHOWN} more" if len(never) > SHOWN else ""
        places = ", ".join(map(str, never[:SHOWN])) + more
        raise InputError(
            f"{name}: train{IMAGES}: {noun}{'s' * (len(never) > 1)} {places} without an observed "
            f"value in the training split; remove the {noun}{'s' * (len(never) > 1)}"
        )
    unseen = int((count == 0).sum())
    if unseen:
        logger.warning(
            "%s: train%s: %d of %d pixels are never observed in the training split; the model "
            "learns nothing about them",
            *(name, IMAGES, unseen, count.size),
        )
