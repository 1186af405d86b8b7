"""Data sets in which some classes are not what they were: left out, or known of a few examples only."""

import dataclasses
import hashlib

import jax.numpy as jnp
import numpy as np

from vae_jax.data import ArraySource, Dataset
from vae_jax.data.prepare import SPLITS, fixed_permutation
from vae_jax.errors import InputError


def without_class(dataset: Dataset, left_out: int) -> Dataset:
    """The data set without the examples of one class, in all splits."""
    kept = {split: _of_class(dataset, split, left_out, same=False) for split in SPLITS}
    digest = hashlib.sha256(np.ascontiguousarray(kept["test"].images).tobytes()).hexdigest()
    preparation = dataset.preparation | {"left_out": left_out, "test_sha256": digest}
    return dataclasses.replace(dataset, **kept, preparation=preparation)


def of_class(dataset: Dataset, left_out: int) -> ArraySource:
    """The test examples of one class."""
    return _of_class(dataset, "test", left_out, same=True)


def _of_class(dataset: Dataset, split: str, left_out: int, *, same: bool) -> ArraySource:
    source = getattr(dataset, split)
    if not isinstance(source, ArraySource) or source.labels is None or source.labels.ndim != 1:
        raise InputError(
            f"config.data.leave_out = {left_out}: needs labelled images in memory, one class each"
        )
    is_class = np.asarray(source.labels) == left_out
    chosen = np.flatnonzero(is_class == same)
    if not is_class.any() or not len(chosen):
        classes = np.unique(np.asarray(source.labels)).tolist()
        raise InputError(
            f"config.data.leave_out = {left_out}: {split} has the classes {classes}; must be one of several"
        )
    return dataclasses.replace(source, images=source.images[chosen], labels=source.labels[chosen])


def with_few_labels(dataset: Dataset, num_labels: int) -> Dataset:
    """The data set with labels on so many of its training examples, the first in the fixed shuffle; the others have y = -1."""
    train = dataset.train
    if not isinstance(train, ArraySource) or train.labels is None or train.labels.ndim != 1:
        raise InputError(
            f"config.data.num_labels = {num_labels}: needs labelled images in memory, one class each"
        )
    if num_labels > train.num_examples:
        raise InputError(
            f"config.data.num_labels = {num_labels}: {dataset.name} has {train.num_examples} training examples"
        )
    kept = fixed_permutation(train.num_examples)[:num_labels]
    labels = jnp.full_like(train.labels, -1).at[kept].set(train.labels[kept])
    preparation = dataset.preparation | {"num_labels": num_labels}
    return dataclasses.replace(
        dataset, train=dataclasses.replace(train, labels=labels), preparation=preparation
    )
