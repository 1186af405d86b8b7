"""Data sets with a class removed or few labels."""

import dataclasses
import hashlib

import jax.numpy as jnp
import numpy as np

from vae_jax.data import ArraySource, Dataset
from vae_jax.data.splits import SPLITS, fixed_permutation
from vae_jax.errors import InputError


def remove_class(dataset: Dataset, label: int) -> Dataset:
    """Return the data set without the examples of one class, in all splits."""
    splits = {split: _select(dataset, split, label, keep=False) for split in SPLITS}
    digest = hashlib.sha256(np.ascontiguousarray(splits["test"].images).tobytes()).hexdigest()
    preparation = dataset.preparation | {"left_out": label, "test_sha256": digest}
    return dataclasses.replace(dataset, **splits, preparation=preparation)


def class_examples(dataset: Dataset, label: int) -> ArraySource:
    """Return the test examples of one class."""
    return _select(dataset, "test", label, keep=True)


def _select(dataset: Dataset, split: str, label: int, *, keep: bool) -> ArraySource:
    """Only the examples of the class if `keep`, else all the others."""
    source = getattr(dataset, split)
    if not isinstance(source, ArraySource) or source.labels is None or source.labels.ndim != 1:
        raise InputError(
            f"config.data.leave_out = {label}: needs labeled images in memory, one class each"
        )
    is_class = np.asarray(source.labels) == label
    indices = np.flatnonzero(is_class == keep)
    if not is_class.any() or not len(indices):
        classes = np.unique(np.asarray(source.labels)).tolist()
        raise InputError(
            f"config.data.leave_out = {label}: {split} has the classes {classes}; must be one of "
            "several"
        )
    return dataclasses.replace(source, images=source.images[indices], labels=source.labels[indices])


def keep_labels(dataset: Dataset, num_labels: int) -> Dataset:
    """Return the data set, keeping labels for only `num_labels` training examples.

    These are the first in the fixed shuffle. All others have y = -1.
    """
    train = dataset.train
    if not isinstance(train, ArraySource) or train.labels is None or train.labels.ndim != 1:
        raise InputError(
            f"config.data.num_labels = {num_labels}: needs labeled images in memory, one class each"
        )
    if num_labels > train.num_examples:
        raise InputError(
            f"config.data.num_labels = {num_labels}: {dataset.name} has {train.num_examples} "
            "training examples"
        )
    if np.min(train.labels) < 0:
        raise InputError(
            f"config.data.num_labels = {num_labels}: {dataset.name} has labels below 0; they must "
            "be classes from 0"
        )
    indices = fixed_permutation(train.num_examples)[:num_labels]
    labels = jnp.full_like(train.labels, -1).at[indices].set(train.labels[indices])
    preparation = dataset.preparation | {"num_labels": num_labels}
    return dataclasses.replace(
        dataset, train=dataclasses.replace(train, labels=labels), preparation=preparation
    )
