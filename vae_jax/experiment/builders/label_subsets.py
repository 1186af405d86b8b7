"""Data sets with a class removed or few labels."""

import dataclasses
import logging
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from vae_jax.data import ArraySource, Dataset
from vae_jax.data.identity import hash_arrays
from vae_jax.data.labels import unknown
from vae_jax.data.missing_splits import summarize
from vae_jax.data.rows import HostRows
from vae_jax.data.splits import SPLITS, fixed_permutation
from vae_jax.errors import InputError

logger = logging.getLogger(__name__)


def remove_class(dataset: Dataset, label: int) -> Dataset:
    """Return the data set without the examples of one class, in all splits."""
    rows = {split: _class_rows(dataset, split, label, keep=False) for split in SPLITS}
    changes = _select_rows(dataset, rows)
    splits = {split: changes[split] for split in SPLITS}
    preparation = dataset.preparation | {
        "left_out": label,
        "test_sha256": hash_arrays(splits["test"].images, splits["test"].observed),
    }
    preparation |= _missing_shares(splits, dataset.name)
    return dataclasses.replace(dataset, **changes, preparation=preparation)


def class_examples(dataset: Dataset, label: int) -> ArraySource:
    """Return the test examples of one class."""
    return dataset.test.select(_class_rows(dataset, "test", label, keep=True))


def _select_rows(dataset: Dataset, rows: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """The fields of a data set with these rows only, of the splits that are given."""
    changes: dict[str, Any] = {
        split: getattr(dataset, split).select(index) for split, index in rows.items()
    }
    if dataset.row_ids is not None:
        ids = {split: dataset.row_ids[split][index] for split, index in rows.items()}
        changes["row_ids"] = {**dataset.row_ids, **ids}
    return changes


def _class_rows(dataset: Dataset, split: str, label: int, *, keep: bool) -> np.ndarray:
    """The rows of the class if `keep`, else all but those."""
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
    return indices


def keep_labels(dataset: Dataset, num_labels: int) -> Dataset:
    """Return the data set, keeping labels for only `num_labels` training examples.

    These are the first in the fixed shuffle. The rest have y = -1.
    """
    train = dataset.train
    if not isinstance(train, ArraySource) or train.labels is None or train.labels.ndim != 1:
        raise InputError(
            f"config.data.num_labels = {num_labels}: needs labeled images in memory, one class each"
        )
    shuffle = fixed_permutation(train.num_examples)
    labeled = shuffle[~unknown(np.asarray(train.labels))[shuffle]]
    if num_labels > len(labeled):
        raise InputError(
            f"config.data.num_labels = {num_labels}: {dataset.name} has {len(labeled)} "
            f"training examples{' with a label' * (len(labeled) < len(shuffle))}"
        )
    if np.min(np.asarray(train.labels)[labeled]) < 0:
        raise InputError(
            f"config.data.num_labels = {num_labels}: {dataset.name} has labels below 0; they must "
            "be classes from 0"
        )
    indices = labeled[:num_labels]
    labels = jnp.full_like(train.labels, -1).at[indices].set(train.labels[indices])
    preparation = dataset.preparation | {"num_labels": num_labels}
    return dataclasses.replace(
        dataset, train=dataclasses.replace(train, labels=labels), preparation=preparation
    )


def allow_unlabeled(dataset: Dataset) -> Dataset:
    """Return the data set, y = -1 in train meaning no label, without such examples elsewhere.

    Their ELBO given the class could not be measured.

    Raises:
      InputError: no training, validation or test example has a label.
    """
    rows: dict[str, np.ndarray] = {}
    changes: dict[str, Any] = {}
    for split in SPLITS:
        source = getattr(dataset, split)
        if not isinstance(source, ArraySource) or source.labels is None:
            continue
        y = np.asarray(source.labels)
        labeled = np.flatnonzero(~unknown(y))
        if y.ndim != 1 or len(labeled) == len(y):
            continue
        if not len(labeled):
            raise InputError(
                f"config.objective.name = 'm2': no example of {split} in {dataset.name} has a "
                "label, y is -1 in all of them; some must have one"
            )
        if split == "train":
            changes["num_labels"] = len(labeled)
            continue
        logger.warning(
            "%s: %d of %d examples of %s have no label, y = -1, and are removed",
            *(dataset.name, len(y) - len(labeled), len(y), split),
        )
        changes[f"left_out_of_{split}"] = len(y) - len(labeled)
        rows[split] = labeled
    fields = _select_rows(dataset, rows)
    splits = {split: fields[split] for split in rows}
    if "test" in splits:
        changes["test_sha256"] = hash_arrays(splits["test"].images, splits["test"].observed)
    if splits:
        changes |= _missing_shares({s: getattr(dataset, s) for s in SPLITS} | splits, dataset.name)
    return dataclasses.replace(dataset, **fields, preparation=dataset.preparation | changes)


def _missing_shares(splits: Mapping[str, Any], name: str) -> dict[str, dict[str, float]]:
    """The entry of `Dataset.preparation` for these sources, if values are missing."""
    observed = {split: source.observed for split, source in splits.items()}
    if any(mask is None for mask in observed.values()):
        return {}
    masks = {s: m if isinstance(m, HostRows) else np.asarray(m) for s, m in observed.items()}
    return {"missing": summarize(masks, name)}


def label_columns(dataset: Dataset) -> Dataset:
    """Return the data set with labels [N] in memory as vectors [N, 1]."""
    splits = {}
    for split in SPLITS:
        source = getattr(dataset, split)
        y = source.labels if isinstance(source, ArraySource) else None
        if y is not None and y.ndim == 1:
            splits[split] = dataclasses.replace(source, labels=y[:, None])
    return dataclasses.replace(dataset, **splits)
