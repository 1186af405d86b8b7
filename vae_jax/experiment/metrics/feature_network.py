"""The feature network of the sample quality: its training images, its name, and its file."""

import pathlib
import re

import numpy as np

from vae_jax.config import Config
from vae_jax.data import HostSource, Source, SpriteSource, sprites
from vae_jax.evaluation.features import (
    ConvFeatures,
    features_name,
    load_features,
    train_features_on,
)
from vae_jax.experiment import processes
from vae_jax.experiment.metrics.context import Context, random_order

MAX_IMAGES = 10_000  # that a feature network is trained on, for any size of the training set


def split_training(train: Source | HostSource, num: int) -> tuple[np.ndarray, np.ndarray]:
    """Split training examples into at most `num` to compare with, and the remaining examples.

    At random; at most half of all, unlabeled examples first, because no network is trained on them.
    """
    if isinstance(train, SpriteSource):  # shuffled already
        order = np.arange(train.num_examples)
    else:
        order = random_order(train.num_examples)
        labels = train.all_labels()
        if labels is not None:
            order = order[np.argsort(_is_labeled(labels)[order], kind="stable")]
    num = min(num, train.num_examples // 2)
    return np.sort(order[:num]), order[num:]


def find_features(context: Context, index: np.ndarray) -> ConvFeatures:
    """The features of the config, or those trained on labeled training examples at index [n].

    They are kept in the workdir, and used again by a run with the same images and settings.
    """
    c, train = context.config.evaluation, context.dataset.train
    if c.features:
        return load_features(c.features)
    source, num_classes = _source(train, index)
    options = {"data": _data_name(context.config), "seed": c.seed, "num_steps": c.feature_steps}
    name = features_name(source, **options)
    path = context.workdir / f"features-{name}.npz"
    if path.is_file():
        return load_features(path)
    features = train_features_on(source, num_classes, **options)
    if processes.is_first():
        features.save(path)
    return features


def _source(train: Source | HostSource, index: np.ndarray) -> tuple[Source, tuple[int, ...]]:
    """The examples at index [n] that have labels, at most `MAX_IMAGES`, and numbers of classes."""
    if isinstance(train, SpriteSource):  # its index is a range
        size = min(len(index), MAX_IMAGES)
        return train.select(index[:size]), sprites.FACTOR_SIZES
    labels = train.all_labels()
    index = np.sort(index[_is_labeled(labels)[index]][:MAX_IMAGES])
    num_classes = labels[index].reshape(len(index), -1).max(axis=0) + 1
    return train.select(index), tuple(int(n) for n in num_classes)


def _is_labeled(labels: np.ndarray) -> np.ndarray:
    """True [N] for examples with all labels, which are -1 if missing."""
    return (labels.reshape(len(labels), -1) >= 0).all(axis=1)


def _data_name(config: Config) -> str:
    data = config.data
    name = pathlib.Path(data.path).stem if data.name == "npz" else data.name
    name = re.sub(r"[^\w.-]+", "-", name)
    name = name if data.binarization == "none" else f"{name}-{data.binarization}"
    return f"{name}-{data.num_labels}-labels" if data.num_labels else name
