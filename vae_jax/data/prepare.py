"""From arrays to a data set: checks, scale, the split, binarization."""

import functools
import math
import operator
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from vae_jax.data.binarization import BINARIZATION_SEED, BINARIZATIONS, binarize
from vae_jax.data.column_survey import binary_columns, survey_columns
from vae_jax.data.columns import warn_columns
from vae_jax.data.hints import (
    warn_classes,
    warn_counts,
    warn_ranges,
    warn_table_of_integers,
    warn_values,
)
from vae_jax.data.identity import describe_identity, hash_arrays
from vae_jax.data.images import as_array, convert_splits, warn_axes
from vae_jax.data.kinds import kind_of
from vae_jax.data.labels import convert_labels
from vae_jax.data.missing_splits import count_observed, mark_missing, summarize
from vae_jax.data.moments import sums_of_means
from vae_jax.data.names import STREAMED_ARRAYS, assign, warn_unused
from vae_jax.data.rows import HostRows
from vae_jax.data.sources import ArraySource, Dataset
from vae_jax.data.splits import COPY_RULE, CUT_TEST_RULE, SPLITS, cut_validation, with_test
from vae_jax.data.streaming import HostSource
from vae_jax.data.values import Values, survey
from vae_jax.errors import Argument, InputError, check_choice

VALUES = ("scaled", "counts")
OTHER_SCALE = 16  # floats above this and floats in [0, 1] have different scales


def from_arrays(
    arrays: Mapping[str, Any],
    *,
    name: str = "arrays",
    values: str = "scaled",
    binarization: str = "none",
    valid_fraction: float = 0.1,
    test_rule: str = "as in the source",
    streaming: bool = False,
    has_schema: bool = False,
    missing: bool = False,
    needs_test: bool = True,
) -> Dataset:
    """Build a data set from arrays in memory, or from streamed training images.

    Args:
      arrays: `train_images` and `test_images`, each [N, *E]; optionally `valid_images`, and labels
        `train_labels`, `valid_labels`, `test_labels`, each [N] or [N, C]. Other usual names are
        understood, see `names`. Without test images, a fifth of train is cut. Integers are 0..255
        and scaled to [0, 1], unless none is above 1; floats are kept as they are. Images [N, H, W]
        get a channel axis.
      name: used in errors and reports.
      values: 'scaled', as above; 'counts': integers from 0 to 2^24 of any dtype, kept as they are.
      binarization: 'none'; 'threshold' (x > 1/2); 'static' (x ~ Bernoulli(x), once and with a fixed
        key); 'dynamic' (the same for validation and test, redrawn at each reading for training).
      valid_fraction: fraction of train used for validation if there are no `valid_images`.
      test_rule: origin of the test split, stored in `preparation`.
      streaming: make `train` a `HostSource`. Its images and labels may then be any object with the
        `shape`, `dtype` and indexing of an array. Floats, and bytes that look binary, are read once
        in full, for their range.
      has_schema: True for a table whose columns have kinds; there are no warnings about its values.
      missing: NaN are missing values, and so are entries that are False, or 0, in `train_observed`,
        `valid_observed` and `test_observed`, each of the shape of the images of its split; for
        images [N, H, W, C] also [N, H, W], for all channels of a pixel. Whatever is known of the
        data, such as their range, is known of their observed values.
      needs_test: False: without test images, none are cut, and test is a copy of validation.

    Raises:
      InputError: a missing key, an empty split, unequal shapes, or values that are not finite, out
        of range or not counts.
    """
    check_values(values, binarization)
    arrays = _canonical(arrays, name)
    lazy = _lazy_keys(arrays) if streaming else ()
    arrays = {
        key: rows if key in lazy else as_array(rows, key, name) for key, rows in arrays.items()
    }
    streamed = ("train_images",) if streaming else ()
    arrays = mark_missing(arrays, missing=missing, lazy=streamed, name=name)
    tables, table_masks = _by_split(arrays, "images"), _by_split(arrays, "observed")
    if "test_images" not in arrays and needs_test:
        if streaming:
            raise InputError(
                f"{name}: no array 'test_images'; ",
                Argument("streaming"),
                " = True needs it, since rows on disk cannot be split; it has ",
                f"{sorted(arrays)}",
            )
        arrays, test_rule = with_test(arrays, name), CUT_TEST_RULE
    images = _by_split(arrays, "images")
    splits, bits = convert_splits(
        images, name=name, values=values, lazy=("train",) if streaming else ()
    )
    tables |= {split: rows for split, rows in splits.items() if isinstance(rows, HostRows)}
    observed = _by_split(arrays, "observed")
    if isinstance(splits["train"], HostRows) and splits["train"].observed is not None:
        observed["train"] = table_masks["train"] = splits["train"].observed
    labels, classes = _labels(arrays, splits, name)
    preparation: dict[str, Any] = {"test": test_rule, "validation": "as in the source"}
    if "valid" not in splits:
        preparation["validation"] = cut_validation(splits, labels, valid_fraction, observed)
    if classes:
        preparation["classes"] = classes
    if bits:
        preparation["bits"] = bits
    shapes = {split: images.shape[1:] for split, images in splits.items()}
    if len(set(shapes.values())) > 1:
        raise InputError(f"{name}: image shapes differ between the splits, {shapes}; must be equal")
    if "test" not in splits:
        preparation["test"] = COPY_RULE
        for copied in (splits, labels, observed):
            copied |= {"test": copied["valid"]} if "valid" in copied else {}

    warn_axes(splits["train"].shape[1:], name)

    if missing:
        preparation["missing"] = dict.fromkeys(splits, 0.0) | summarize(observed, name)
    combined, scale, value_range, ranges = _merge_surveys(splits, observed, name)
    preparation |= {"values": values, "scale": scale, "binarization": binarization}
    preparation |= describe_identity(splits, labels, ranges, observed)
    if binarization in ("static", "dynamic"):
        preparation["binarization_seed"] = BINARIZATION_SEED
    preparation["binary"] = combined.binary
    preparation["levels"] = combined.grid if values == "scaled" else 0
    if binarization != "none":
        _check_unit(value_range, binarization, name)
        value_range = (0.0, 1.0)
        preparation |= {"binary": True, "levels": 2}
    shape = tuple(splits["train"].shape[1:])
    if len(shape) == 1 and not has_schema and kind_of(shape, preparation) == "real":
        surveys = {
            split: survey_columns(rows, table_masks.get(split)) for split, rows in tables.items()
        }
        warn_columns(surveys, name)
        if binary := binary_columns(surveys):
            preparation["binary_columns"] = binary
    if values == "counts":
        means = {split: sums_of_means(splits[split], observed.get(split)) for split in images}
        warn_counts(means, math.prod(shape), name)
    if values == "scaled" and not has_schema:
        given = {split: ranges[split] for split in images}
        _check_scales(given, scale, name)
        warn_values(combined, name)
        if len(shape) == 1:
            warn_table_of_integers(combined, [rows.dtype for rows in images.values()], name)
        if len(shape) == 3:
            warn_ranges(given, {split: len(splits[split]) for split in given}, name)
    sources: dict[str, Any] = {}
    for number, split in enumerate(SPLITS):
        dynamic = binarization == "dynamic" and split == "train"
        rows, image_scale = splits[split], scale
        if isinstance(rows, HostRows):
            sources[split] = HostSource(rows, labels[split], scale, binarization, value_range)
            continue
        if binarization != "none" and not dynamic:
            rows, image_scale = binarize(rows, scale, binarization, number), 1.0
        if split == "test":
            preparation["test_sha256"] = hash_arrays(rows, observed.get(split))
        # `jnp.asarray` of JAX 0.12 would compile a program for each shape.
        x, y, mask = jax.device_put((rows, labels[split], observed.get(split)))
        sources[split] = ArraySource(x, y, image_scale, dynamic, value_range, mask)
    return Dataset(name=name, **sources, preparation=preparation)


def convert_examples(
    arrays: Mapping[str, Any],
    *,
    name: str,
    values: str = "scaled",
    binarization: str = "none",
    missing: bool = False,
) -> ArraySource:
    """Examples of one split, such as anomalies, as a source, binarized as a test set is.

    `arrays` are the images, such as `test_images`, and `test_observed`, if any; options and errors
    are as of `from_arrays`. Extreme values, and columns without an observed value, are fine.
    """
    check_values(values, binarization)
    arrays = {key: as_array(rows, key, name) for key, rows in arrays.items()}
    arrays = mark_missing(arrays, missing=missing, lazy=(), name=name, needs_missing=False)
    given, observed = _by_split(arrays, "images"), _by_split(arrays, "observed")
    converted, _ = convert_splits(given, name=name, values=values)
    [(split, rows)] = converted.items()
    assert isinstance(rows, np.ndarray)
    mask = observed.get(split)
    if mask is not None:
        count_observed(mask, split, name)
    combined, scale, value_range, _ = _merge_surveys(converted, observed, name)
    warn_axes(rows.shape[1:], name)
    if values == "scaled":
        warn_values(combined, name)
    if binarization != "none":
        _check_unit(value_range, binarization, name)
        rows = binarize(rows, scale, binarization, SPLITS.index("test"))
        scale, value_range = 1.0, (0.0, 1.0)
    x, observed_entries = jax.device_put((rows, mask))
    return ArraySource(x, None, scale, False, value_range, observed_entries)


def _check_unit(value_range: tuple[float, float], binarization: str, name: str) -> None:
    low, high = value_range
    if low < 0 or high > 1:
        raise InputError.of(
            "binarization",
            binarization,
            f"needs values in [0, 1], but {name} has values from {low:g} to {high:g}",
        )


def _canonical(arrays: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The arrays that are used, by canonical name; warns about unused arrays."""
    assignment = assign(arrays, (name,))
    warn_unused(assignment.unused, name)
    return {key: arrays[source_key] for key, source_key in assignment.arrays.items()}


def _by_split(arrays: Mapping[str, Any], role: str) -> dict[str, Any]:
    """The arrays of a role, 'images' or 'observed', of each split that has one."""
    return {split: arrays[f"{split}_{role}"] for split in SPLITS if f"{split}_{role}" in arrays}


def _lazy_keys(arrays: Mapping[str, Any]) -> tuple[str, ...]:
    """The training arrays that can be read by index; the remaining arrays are read in full."""
    return tuple(key for key in STREAMED_ARRAYS if hasattr(arrays.get(key), "dtype"))


def _labels(
    arrays: Mapping[str, Any], splits: Mapping[str, Any], name: str
) -> tuple[dict[str, Any], list[str]]:
    """Labels of each split, None without any, and the names of text classes."""
    for split in SPLITS:
        if split not in splits and f"{split}_labels" in arrays:
            raise InputError(
                f"{name}: {split}_labels without {split}_images; it has {sorted(arrays)}"
            )
    labels = {split: arrays.get(f"{split}_labels") for split in splits}
    present = {split: rows for split, rows in labels.items() if rows is not None}
    for split, rows in present.items():
        n = len(splits[split])
        if len(rows.shape) not in (1, 2) or rows.shape[0] != n or 0 in rows.shape:
            raise InputError(
                f"{name}: {split}_labels has shape {rows.shape} for {n} images; must be [{n}] or "
                f"[{n}, C]"
            )
    converted, classes = convert_labels(present, name)
    warn_classes(converted, classes, name)
    return labels | converted, classes


def check_values(values: str, binarization: str) -> None:
    """Raises InputError if `values` or `binarization` is unknown, or they are incompatible."""
    check_choice(Argument("binarization"), binarization, BINARIZATIONS)
    check_choice(Argument("values"), values, VALUES)
    if values == "counts" and binarization != "none":
        raise InputError.of(
            "binarization", binarization, "must be 'none' for ", Argument("values"), " = 'counts'"
        )


def _merge_surveys(
    splits: Mapping[str, np.ndarray | HostRows],
    observed: Mapping[str, np.ndarray | HostRows],
    name: str,
) -> tuple[Values, float, tuple[float, float], dict[str, tuple[float, float]]]:
    """The survey of all splits together, the scale from stored to model values, and ranges.

    These are the range of all splits together, and of each.
    """
    surveys = {split: survey(images, observed.get(split)) for split, images in splits.items()}
    if len({values.integer for values in surveys.values()}) > 1:
        raise InputError(f"{name}: some splits contain integers, some floats; must be the same")
    combined = functools.reduce(operator.or_, surveys.values())
    scale = (1.0 if combined.bits else 1 / 255) if combined.integer else 1.0
    ranges = {split: (values.low * scale, values.high * scale) for split, values in surveys.items()}
    value_range = (0.0, 1.0) if combined.integer else (combined.low, combined.high)
    return combined, scale, value_range, ranges


def _check_scales(ranges: Mapping[str, tuple[float, float]], scale: float, name: str) -> None:
    """Raises InputError if one split lies in [0, 1] and another reaches 255 or a similar value."""
    stored = {split: (low / scale, high / scale) for split, (low, high) in ranges.items()}
    far = OTHER_SCALE if scale == 1 else 1.5
    unit = [split for split, (low, high) in stored.items() if low >= 0 and 0 < high < 1.5]
    large = [split for split, (low, high) in stored.items() if low >= 0 and high > far]
    if unit and large:
        holds = ", ".join(f"{split} holds {lo:g} to {hi:g}" for split, (lo, hi) in stored.items())
        raise InputError(
            f"{name}: {holds}; the splits must have one scale: prepare {' and '.join(unit)} as "
            f"{' and '.join(large)}, or the other way round"
        )
