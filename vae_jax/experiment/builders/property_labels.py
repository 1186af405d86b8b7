"""Labels that are a property of each example, for a regression from its code."""

import dataclasses

import jax
import numpy as np

from vae_jax.data import ArraySource, Dataset
from vae_jax.data.splits import SPLITS
from vae_jax.data.text.tokens import MOLECULES
from vae_jax.errors import InputError
from vae_jax.evaluation.molecules import properties
from vae_jax.evaluation.progress import Progress

CHUNK = 1_000  # molecules between two signs of progress


def add_property(dataset: Dataset, name: str) -> Dataset:
    """Return the data set of molecules with a property as labels y [N]; unchanged without a name.

    It is computed anew each time: per 100,000 molecules about half a minute of logp, and minutes of
    qed.

    Raises:
      InputError: the data are not molecules, one of them is invalid, or RDKit is not installed.
    """
    if not name:
        return dataset
    if dataset.text is None or dataset.text.kind not in MOLECULES:
        raise InputError(
            f"config.data.property = {name!r}: {dataset.name} has no molecules; leave it empty for "
            "the labels of the data"
        )
    total = sum(getattr(dataset, split).num_examples for split in SPLITS)
    with Progress(total, name, "molecules") as progress:
        splits = {split: _label(dataset, split, name, progress) for split in SPLITS}
    return dataclasses.replace(dataset, **splits)


def _label(dataset: Dataset, split: str, name: str, progress: Progress) -> ArraySource:
    source = getattr(dataset, split)
    values = []
    for start in range(0, source.num_examples, CHUNK):
        index = np.arange(start, min(start + CHUNK, source.num_examples))
        rows = np.asarray(source.take(index, jax.random.key(0))["x"])
        smiles = dataset.text.decode_rows(rows)
        values.append(properties(smiles, [name])[name])
        is_invalid = np.isnan(values[-1])
        if is_invalid.any():
            raise InputError(
                f"config.data.property = {name!r}: {dataset.name} has invalid molecules, such as "
                f"{smiles[int(is_invalid.argmax())]!r} of {split}; remove them"
            )
        progress.update(len(index))
    return dataclasses.replace(source, labels=np.concatenate(values).astype(np.float32))


def standardize_labels(dataset: Dataset) -> Dataset:
    """Return the data set with labels (y - mean) / deviation of train, float32.

    Both are in its `preparation` under "property".

    Raises:
      InputError: a split in which not each example has one number as its label, or labels of train
        that are constant.
    """
    labels = {}
    for split in SPLITS:
        source = getattr(dataset, split)
        y = source.labels if isinstance(source, ArraySource) else None
        if y is None or np.ndim(y) != 1:
            raise InputError(
                f"config.objective.name = 'property': {dataset.name} has not one number as the "
                f"label of each example of {split}, in memory; molecules get theirs from "
                "config.data.property"
            )
        labels[split] = np.asarray(y, np.float64)
    mean, stddev = float(labels["train"].mean()), float(labels["train"].std())
    if not stddev > 1e-12 * abs(mean):
        raise InputError(
            f"config.objective.name = 'property': all training labels of {dataset.name} are "
            f"{mean:g}; there is nothing to predict"
        )
    splits = {
        split: dataclasses.replace(
            getattr(dataset, split), labels=((y - mean) / stddev).astype(np.float32)
        )
        for split, y in labels.items()
    }
    preparation = {**dataset.preparation, "property": {"mean": mean, "stddev": stddev}}
    return dataclasses.replace(dataset, **splits, preparation=preparation)
