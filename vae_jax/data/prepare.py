"""From arrays to a data set: checks, scale, the split, binarization."""

import functools
import hashlib
import operator
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vae_jax.data import order
from vae_jax.data.binarization import BINARIZATION_SEED, BINARIZATIONS, binarize
from vae_jax.data.rows import HostRows, Rows
from vae_jax.data.sources import ArraySource, Dataset
from vae_jax.data.streaming import HostSource
from vae_jax.data.values import Values, survey
from vae_jax.errors import InputError, check_choice, check_range

SPLIT_SEED = 0
VALUES = ("scaled", "counts")
MAX_COUNT = 2**24  # beyond it, float32 skips some integers
SPLITS = ("train", "valid", "test")


def from_arrays(
    arrays: Mapping[str, Any],
    *,
    name: str = "arrays",
    values: str = "scaled",
    binarization: str = "none",
    valid_fraction: float = 0.1,
    test_rule: str = "as in the source",
    streaming: bool = False,
) -> Dataset:
    """Build a data set from arrays in memory, or from streamed training images.

    Args:
      arrays: `train_images` and `test_images`, each [N, *E]; optionally `valid_images`, and labels
        `train_labels`, `valid_labels`, `test_labels`, each [N] or [N, C]. Integers are 0..255 and
        scaled to [0, 1], unless none is above 1; floats are kept as they are. Images [N, H, W] get
        a channel axis.
      name: used in errors and reports.
      values: 'scaled', as above; 'counts': integers from 0 to 2^24 of any dtype, kept as they are.
      binarization: 'none'; 'threshold' (x > 1/2); 'static' (x ~ Bernoulli(x), once and with a fixed
        key); 'dynamic' (the same for validation and test, redrawn at each reading for training).
      valid_fraction: fraction of train used for validation if there are no `valid_images`.
      test_rule: origin of the test split, stored in `preparation`.
      streaming: make `train` a `HostSource`. Its images and labels may then be any object with the
        `shape`, `dtype` and indexing of an array. Floats, and bytes that look binary, are read once
        in full, for their range.

    Raises:
      InputError: a missing key, an empty split, unequal shapes, or values that are not finite, out
        of range or not counts.
    """
    check_values(values, binarization)
    splits = {
        split: _images(arrays, split, name, values, lazy=streaming and split == "train")
        for split in SPLITS
        if split != "valid" or "valid_images" in arrays
    }
    labels = {split: _labels(arrays, split, images, name) for split, images in splits.items()}
    preparation: dict[str, Any] = {"test": test_rule, "validation": "as in the source"}
    if "valid" not in splits:
        preparation["validation"] = _cut_validation(splits, labels, valid_fraction)
    shapes = {split: images.shape[1:] for split, images in splits.items()}
    if len(set(shapes.values())) > 1:
        raise InputError(f"{name}: image shapes differ between the splits, {shapes}; must be equal")

    combined, scale, value_range = _merge_surveys(splits, name)
    preparation |= {"values": values, "scale": scale, "binarization": binarization}
    if binarization in ("static", "dynamic"):
        preparation["binarization_seed"] = BINARIZATION_SEED
    preparation["binary"] = combined.binary
    preparation["levels"] = combined.grid if values == "scaled" else 0
    if binarization != "none":
        low, high = value_range
        if low < 0 or high > 1:
            raise InputError(
                f"binarization = {binarization!r}: needs values in [0, 1], but {name} has "
                f"values from {low:g} to {high:g}"
            )
        value_range = (0.0, 1.0)
        preparation |= {"binary": True, "levels": 2}
    sources = {}
    for number, split in enumerate(SPLITS):
        dynamic = binarization == "dynamic" and split == "train"
        images, image_scale = splits[split], scale
        if isinstance(images, HostRows):
            sources[split] = HostSource(images, labels[split], scale, binarization, value_range)
            continue
        if binarization != "none" and not dynamic:
            images, image_scale = binarize(images, scale, binarization, number), 1.0
        if split == "test":
            content = np.ascontiguousarray(images).tobytes()
            preparation["test_sha256"] = hashlib.sha256(content).hexdigest()
        y = None if labels[split] is None else jnp.asarray(labels[split])
        sources[split] = ArraySource(jnp.asarray(images), y, image_scale, dynamic, value_range)
    return Dataset(name=name, **sources, preparation=preparation)


def fixed_permutation(num_examples: int) -> np.ndarray:
    """The shuffle that defines the splits; it never changes."""
    # Compiled as one: its parts would be five programs.
    permute = jax.jit(order.permute, static_argnums=1)
    return np.asarray(
        permute(np.arange(num_examples, dtype=np.uint32), num_examples, np.uint32(SPLIT_SEED))
    )


CUT_TEST_RULE = (
    f"a fifth of the examples, the first ones in the swap-or-not shuffle with seed {SPLIT_SEED}"
)


def cut_test(images: np.ndarray, labels: np.ndarray | None) -> dict[str, np.ndarray]:
    """Train and test arrays from a data set without a test split, by `CUT_TEST_RULE`."""
    shuffle = fixed_permutation(len(images))
    num_test = len(images) // 5
    arrays = {}
    for split, positions in (("test", shuffle[:num_test]), ("train", shuffle[num_test:])):
        positions = np.sort(positions)
        arrays[f"{split}_images"] = images[positions]
        if labels is not None:
            arrays[f"{split}_labels"] = labels[positions]
    return arrays


def check_values(values: str, binarization: str) -> None:
    """Raises InputError if `values` or `binarization` is unknown, or they are incompatible."""
    check_choice("binarization", binarization, BINARIZATIONS)
    check_choice("values", values, VALUES)
    if values == "counts" and binarization != "none":
        raise InputError(f"binarization = {binarization!r}: must be 'none' for values = 'counts'")


def _images(
    arrays: Mapping[str, Any], split: str, name: str, values: str, *, lazy: bool = False
) -> np.ndarray | HostRows:
    key = f"{split}_images"
    if key not in arrays:
        raise InputError(
            f"{name}: no array {key!r}; it needs train_images and test_images "
            f"and has {sorted(arrays)}"
        )
    try:
        images = _rows(arrays[key], lazy)
    except ValueError as error:  # numpy on a ragged list
        raise InputError(f"{name}: {key} holds images of unequal shapes; must be equal") from error
    convert = functools.partial(_convert_images, key=key, name=name, values=values)
    return HostRows(images, convert) if lazy and 0 not in images.shape else convert(images)


def _rows(array: Any, lazy: bool) -> np.ndarray | Rows:
    return array if lazy and hasattr(array, "dtype") else np.asarray(array)


def _convert_images(images: np.ndarray, *, key: str, name: str, values: str) -> np.ndarray:
    """Images as stored, with a channel axis: uint8 from 0 to 255, or finite float32.

    Counts are always float32.
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
        return _counts(images, key=key, name=name)
    if images.dtype in (bool, np.uint8):
        return images.astype(np.uint8)
    if images.dtype.kind in "iu":
        if images.min() < 0 or images.max() > 255:
            raise InputError(
                f"{name}: {key} has integers from {images.min()} to {images.max()}; "
                "must be 0 to 255, or else floats"
            )
        return images.astype(np.uint8)
    if not np.issubdtype(images.dtype, np.floating):
        raise _dtype_error(images, key, name)
    with np.errstate(over="ignore"):
        images = images.astype(np.float32)
    num_bad = int(np.sum(~np.isfinite(images)))
    if num_bad:
        raise InputError(
            f"{name}: {key} has {num_bad} values that are NaN or infinite as float32; "
            "must be finite"
        )
    return images


def _counts(images: np.ndarray, *, key: str, name: str) -> np.ndarray:
    """Counts as float32; anything else, from NaN to text, raises InputError."""
    if images.dtype.kind not in "biuf":
        raise _dtype_error(images, key, name)
    if images.dtype == np.float16:
        images = images.astype(np.float32)  # float16 can't represent MAX_COUNT
    if images.dtype != bool:
        valid = (images >= 0) & (images <= MAX_COUNT) & (images == np.floor(images))
        if not valid.all():
            wrong = images[~valid]
            raise InputError(
                f"values = 'counts': {name}: {key} has {len(wrong)} values that are not counts, "
                f"such as {wrong[0]}; must be whole numbers from 0 to {MAX_COUNT}"
            )
    return images.astype(np.float32)


def _dtype_error(images: np.ndarray, key: str, name: str) -> InputError:
    return InputError(
        f"{name}: {key} has dtype {images.dtype}; allowed are integers, floats and booleans"
    )


def _labels(
    arrays: Mapping[str, Any], split: str, images: np.ndarray | HostRows, name: str
) -> np.ndarray | HostRows | None:
    key = f"{split}_labels"
    if key not in arrays:
        return None
    lazy = isinstance(images, HostRows)
    try:
        labels = _rows(arrays[key], lazy)
    except ValueError as error:  # numpy on a ragged list
        raise InputError(
            f"{name}: {key} holds entries of unequal lengths; must be equal"
        ) from error
    if len(labels.shape) not in (1, 2) or labels.shape[0] != len(images):
        n = len(images)
        raise InputError(
            f"{name}: {key} has shape {labels.shape} for {n} images; must be [{n}] or [{n}, C]"
        )
    if labels.dtype.kind not in "iuf":
        raise InputError(
            f"{name}: {key} has dtype {labels.dtype}; must be numbers, integers or floats"
        )
    return HostRows(labels, _convert_labels) if lazy else _convert_labels(labels)


def _convert_labels(labels: np.ndarray) -> np.ndarray:
    return labels.astype(np.int32 if np.issubdtype(labels.dtype, np.integer) else np.float32)


def _cut_validation(splits: dict[str, np.ndarray], labels: dict[str, Any], fraction: float) -> str:
    """Move a fraction of train to valid, by the fixed shuffle; return the rule as text."""
    check_range("valid_fraction", fraction, 0.0, 0.9, open_low=True)
    n = len(splits["train"])
    num_valid = round(fraction * n)
    if not 0 < num_valid < n:
        raise InputError(
            f"valid_fraction = {fraction:g}: leaves {num_valid} of {n} train examples for "
            "validation and the rest for training; both must have some"
        )
    shuffle = fixed_permutation(n)
    valid, train = np.sort(shuffle[:num_valid]), np.sort(shuffle[num_valid:])
    for arrays in (splits, labels):
        rows = arrays["train"]
        arrays["valid"] = None if rows is None else rows[valid]
        if isinstance(rows, HostRows):
            arrays["train"] = rows.select(train)
        elif rows is not None:
            arrays["train"] = rows[train]
    return (
        f"first {num_valid} of {n} train examples in the swap-or-not shuffle with seed {SPLIT_SEED}"
    )


def _merge_surveys(
    splits: Mapping[str, np.ndarray | HostRows], name: str
) -> tuple[Values, float, tuple[float, float]]:
    """The survey of all splits together, the scale from stored to model values, and their range."""
    surveys = [survey(images) for images in splits.values()]
    if len({values.integer for values in surveys}) > 1:
        raise InputError(f"{name}: some splits hold integers and others floats; must be the same")
    combined = functools.reduce(operator.or_, surveys)
    if combined.integer:
        return combined, (1.0 if combined.bits else 1 / 255), (0.0, 1.0)
    return combined, 1.0, (combined.low, combined.high)
