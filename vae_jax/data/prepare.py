"""From arrays to a data set: checks, scale, the split, binarization."""

import functools
import hashlib
import operator
from collections.abc import Mapping
from typing import Any

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
MOST_COUNT = 2**24  # beyond it, float32 leaves some whole numbers out
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
    """A data set from images in memory, or, when `streaming`, with training images that stay where they are.

    Args:
      arrays: `train_images` and `test_images`, each [N, *E]; optionally `valid_images`, and labels `train_labels`,
        `valid_labels`, `test_labels`, each [N] or [N, C]. Integers are 0..255 and scaled to [0, 1], unless none is above 1;
        floats are taken as they are. Images [N, H, W] get a channel axis.
      name: what errors and reports call it.
      values: 'scaled', as said; 'counts': whole numbers from 0 to 2^24 of any type, kept as they are.
      binarization: 'none'; 'threshold' (x > 1/2); 'static' (x ~ Bernoulli(x), once and with a fixed key); 'dynamic' (the
        same for validation and test, anew at each reading for training).
      valid_fraction: the share of train that becomes validation where `valid_images` is missing.
      test_rule: where the test split comes from, in words, for the record.
      streaming: whether `train` is to be a `HostSource`. Its images and labels may then be anything with the `shape`, the
        `dtype` and the indexing of an array. Floats, and bytes that look binary, are read through once, for their range.

    Raises:
      InputError: a missing key, an empty split, unequal shapes, values that are not finite, not in the range or no counts.
    """
    check_choice("config.data.binarization", binarization, BINARIZATIONS)
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
        raise InputError(
            f"{name}: images of unequal shapes in the splits, {shapes}; all must be alike"
        )

    surveys = {split: survey(images) for split, images in splits.items()}
    found, scale, value_range = _scaled_values(surveys, name)
    preparation |= {"values": values, "scale": scale, "binarization": binarization}
    if binarization != "none":
        if value_range[0] < 0 or value_range[1] > 1:
            raise InputError(
                f"config.data.binarization = {binarization!r}: needs values in [0, 1], but {name} has {_span(value_range)}"
            )
        value_range = (0.0, 1.0)
    if binarization in ("static", "dynamic"):
        preparation["binarization_seed"] = BINARIZATION_SEED
    preparation["binary"] = binarization != "none" or found.binary
    preparation["levels"] = 2 if binarization != "none" else found.grid if values == "scaled" else 0
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
            preparation["test_sha256"] = hashlib.sha256(
                np.ascontiguousarray(images).tobytes()
            ).hexdigest()
        y = labels[split]
        sources[split] = ArraySource(
            jnp.asarray(images),
            None if y is None else jnp.asarray(y),
            image_scale,
            dynamic,
            value_range,
        )
    return Dataset(name=name, **sources, preparation=preparation)


def fixed_permutation(num_examples: int) -> np.ndarray:
    """The shuffle by which splits are cut, the same for ever."""
    return np.asarray(order.permute(jnp.arange(num_examples), num_examples, jnp.uint32(SPLIT_SEED)))


CUT_TEST_RULE = (
    f"a fifth of the examples, the first ones in the swap-or-not shuffle with seed {SPLIT_SEED}"
)


def cut_test(images: np.ndarray, labels: np.ndarray | None) -> dict[str, np.ndarray]:
    """Train and test arrays from a set that has no test split, by `CUT_TEST_RULE`."""
    shuffle = fixed_permutation(len(images))
    num_test = len(images) // 5
    arrays = {}
    for split, chosen in (
        ("test", np.sort(shuffle[:num_test])),
        ("train", np.sort(shuffle[num_test:])),
    ):
        arrays[f"{split}_images"] = images[chosen]
        if labels is not None:
            arrays[f"{split}_labels"] = labels[chosen]
    return arrays


def check_values(values: str, binarization: str) -> None:
    """InputError unless `values` is one of VALUES and goes with the binarization."""
    check_choice("config.data.values", values, VALUES)
    if values == "counts" and binarization != "none":
        raise InputError(
            f"config.data.binarization = {binarization!r}: must be 'none' for config.data.values = 'counts'"
        )


def _images(
    arrays: Mapping[str, Any], split: str, name: str, values: str, *, lazy: bool = False
) -> np.ndarray | HostRows:
    key = f"{split}_images"
    if key not in arrays:
        raise InputError(
            f"{name}: no array {key!r}; it needs train_images and test_images and has {sorted(arrays)}"
        )
    try:
        images = _rows(arrays[key], lazy)
    except ValueError as error:  # what numpy says to a ragged list
        raise InputError(
            f"{name}: {key} holds images of unequal shapes; all must be alike"
        ) from error
    convert = functools.partial(_converted_images, key=key, name=name, values=values)
    return HostRows(images, convert) if lazy and 0 not in images.shape else convert(images)


def _rows(array: Any, lazy: bool) -> np.ndarray | Rows:
    return array if lazy and hasattr(array, "dtype") else np.asarray(array)


def _converted_images(images: np.ndarray, *, key: str, name: str, values: str) -> np.ndarray:
    """Images as they are kept: uint8 from 0 to 255, or finite float32, as counts always are, with a channel axis."""
    if images.dtype == object:
        raise InputError(
            f"{name}: {key} holds objects or images of unequal shapes; it must be one array of numbers"
        )
    if not 2 <= images.ndim <= 4:
        raise InputError(
            f"{name}: {key} has shape {images.shape}; it must be [N, D], [N, H, W] or [N, H, W, C]"
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
                f"{name}: {key} has integers from {images.min()} to {images.max()}; allowed are 0 to 255 (else give floats)"
            )
        return images.astype(np.uint8)
    if not np.issubdtype(images.dtype, np.floating):
        raise InputError(
            f"{name}: {key} has dtype {images.dtype}; allowed are integers, floats and booleans"
        )
    with np.errstate(over="ignore"):
        images = images.astype(np.float32)
    bad = int(np.sum(~np.isfinite(images)))
    if bad:
        raise InputError(
            f"{name}: {key} has {bad} values that are NaN or infinite as float32; all must be finite"
        )
    return images


def _counts(images: np.ndarray, *, key: str, name: str) -> np.ndarray:
    """Whole numbers as float32; what is none of them, from NaN to text, fails one of the comparisons or has no number."""
    if images.dtype.kind not in "biuf":
        raise InputError(
            f"{name}: {key} has dtype {images.dtype}; allowed are integers, floats and booleans"
        )
    images = (
        images.astype(np.float32) if images.dtype == np.float16 else images
    )  # which ends before the largest count
    wrong = (
        images[~((images >= 0) & (images <= MOST_COUNT) & (images == np.floor(images)))]
        if images.dtype != bool
        else ()
    )
    if len(wrong):
        raise InputError(
            f"config.data.values = 'counts': {name}: {key} has {len(wrong)} values that are no counts, such as {wrong[0]}; "
            f"allowed are whole numbers from 0 to {MOST_COUNT}"
        )
    return images.astype(np.float32)


def _labels(
    arrays: Mapping[str, Any], split: str, images: np.ndarray | HostRows, name: str
) -> np.ndarray | HostRows | None:
    key = f"{split}_labels"
    if key not in arrays:
        return None
    lazy = isinstance(images, HostRows)
    try:
        labels = _rows(arrays[key], lazy)
    except ValueError as error:  # what numpy says to a ragged list
        raise InputError(
            f"{name}: {key} holds entries of unequal lengths; all must be alike"
        ) from error
    if len(labels.shape) not in (1, 2) or labels.shape[0] != len(images):
        raise InputError(
            f"{name}: {key} has shape {labels.shape} for {len(images)} images; it must be [{len(images)}] or [{len(images)}, C]"
        )
    if labels.dtype.kind not in "iuf":
        raise InputError(
            f"{name}: {key} has dtype {labels.dtype}; labels must be numbers, integers or floats"
        )
    return HostRows(labels, _converted_labels) if lazy else _converted_labels(labels)


def _converted_labels(labels: np.ndarray) -> np.ndarray:
    return labels.astype(np.int32 if np.issubdtype(labels.dtype, np.integer) else np.float32)


def _cut_validation(splits: dict[str, np.ndarray], labels: dict[str, Any], fraction: float) -> str:
    """Moves a share of train to valid, by the fixed shuffle, and returns the rule in words."""
    check_range("config.data.valid_fraction", fraction, 0.0, 0.9, open_low=True)
    images, y = splits["train"], labels["train"]
    num_valid = round(fraction * len(images))
    if not 0 < num_valid < len(images):
        raise InputError(
            f"config.data.valid_fraction = {fraction:g}: leaves {num_valid} of {len(images)} train examples for validation "
            "and the rest for training; both must have some"
        )
    shuffle = fixed_permutation(len(images))
    chosen = np.sort(shuffle[:num_valid])
    splits["valid"], labels["valid"] = images[chosen], None if y is None else y[chosen]
    chosen = np.sort(shuffle[num_valid:])
    splits["train"], labels["train"] = (
        _only(images, chosen),
        None if y is None else _only(y, chosen),
    )
    return f"first {num_valid} of {len(images)} train examples in the swap-or-not shuffle with seed {SPLIT_SEED}"


def _only(rows: np.ndarray | HostRows, chosen: np.ndarray) -> np.ndarray | HostRows:
    return rows.select(chosen) if isinstance(rows, HostRows) else rows[chosen]


def _scaled_values(
    surveys: Mapping[str, Values], name: str
) -> tuple[Values, float, tuple[float, float]]:
    """What all splits hold together, the factor to the values that models see, and their range."""
    if len({found.integer for found in surveys.values()}) > 1:
        raise InputError(
            f"{name}: some splits hold integers and some floats; all must be of one kind"
        )
    found = functools.reduce(operator.or_, surveys.values())
    if found.integer:
        return found, (1.0 if found.bits else 1 / 255), (0.0, 1.0)
    return found, 1.0, (found.low, found.high)


def _span(value_range: tuple[float, float]) -> str:
    return f"values from {value_range[0]:g} to {value_range[1]:g}"
