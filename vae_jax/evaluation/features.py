"""A self-trained feature function: the penultimate layer of a small convolutional classifier.

Its name contains image size, data, number of images, steps, seed, and a hash of the images, labels
and remaining settings, and is part of every metric computed with it, such as
`conv28-mnist-n10000-steps1500-seed0-1a2b3c`. Metrics under different feature functions are not
comparable. Trainings of the same name on different hardware differ in rounding: keep the saved file
and its `fingerprint` with the metrics.
"""

import dataclasses
import functools
import hashlib
import io
import json
import os
import re
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import traverse_util

from vae_jax import train
from vae_jax.data import ArraySource, Source, order
from vae_jax.data.fixed_random import fixed_key
from vae_jax.errors import InputError, check_range, format_value
from vae_jax.evaluation.classifier import (
    Classifier,
    as_images,
    classification_loss,
    label_columns,
)
from vae_jax.evaluation.progress import split_steps, track
from vae_jax.evaluation.scan import full_float32
from vae_jax.files import as_path, is_local, write_atomically
from vae_jax.types import Array, Params

NUM_SCALED = 4096  # maximum number of examples for the scale of the features
BATCH = 256  # images whose features are computed at once


@dataclasses.dataclass(frozen=True, eq=False)
class ConvFeatures:
    """The features of a trained `Classifier`; a `FeatureFunction`."""

    name: str
    model: Classifier
    params: Params
    scale: float = 1.0  # divides the features

    def __call__(self, images: Array | np.ndarray) -> np.ndarray:
        """Features [N, F] of images [N, H, W] or [N, H, W, C], bytes 0..255 or floats in [0, 1]."""
        return self._by_batch(images, "penultimate") / np.float32(self.scale)

    def classify(self, images: Array | np.ndarray) -> np.ndarray:
        """The most likely class [N], or [N, columns] if the labels have columns."""
        logits = self._by_batch(images, "__call__")
        columns = np.split(logits, np.cumsum(self.model.num_classes)[:-1], axis=1)
        classes = np.stack([column.argmax(axis=1) for column in columns], axis=1)
        return classes[:, 0] if len(columns) == 1 else classes

    @property
    def fingerprint(self) -> str:
        """The first 12 digits of the SHA-256 of parameters and scale."""
        digest = hashlib.sha256(repr(float(self.scale)).encode())
        for key, value in sorted(_flat(self.params).items()):
            digest.update(key.encode() + np.ascontiguousarray(value).tobytes())
        return digest.hexdigest()[:12]

    def save(self, path: str | os.PathLike) -> None:
        """Write an .npz file, atomically; raises InputError if it cannot be written."""
        fields = ("num_classes", "shape", "num_features")
        model = {field: getattr(self.model, field) for field in fields}
        about = json.dumps({"name": self.name, "scale": self.scale, "model": model})
        content = io.BytesIO()
        np.savez(content, about=about, **_flat(self.params))
        try:
            write_atomically(as_path(path, "path"), content.getvalue())
        except OSError as error:
            raise InputError(
                f"path = {os.fspath(path)!r}: cannot be written ({error.strerror or error})"
            ) from error

    def _by_batch(self, images: Array | np.ndarray, method: str) -> np.ndarray:
        images = as_images("images", images)
        if images.shape[1:] != tuple(self.model.shape):
            raise InputError(
                f"images: has shape {images.shape}; {self.name} takes "
                f"[N, {str(self.model.shape)[1:-1]}]"
            )
        batches = []
        for start in range(0, len(images), BATCH):
            x = images[start : start + BATCH]
            # Padded to one size, so that one compiled program serves all.
            padded = np.pad(x, [(0, BATCH - len(x)), (0, 0), (0, 0), (0, 0)])
            batches.append(np.asarray(_apply(self.model, method, self.params, padded))[: len(x)])
        return np.concatenate(batches)


def train_features(
    images: Array | np.ndarray,
    labels: Array | np.ndarray,
    *,
    data: str,
    seed: int = 0,
    num_steps: int = 1500,
    batch_size: int = 128,
    learning_rate: float = 2e-3,
    num_features: int = 128,
) -> ConvFeatures:
    """Train a classifier and return its penultimate layer, named by `features_name`.

    It minimizes the cross-entropy, summed over the columns of the labels, with Adam and a cosine
    schedule, in one compiled scan. 1,500 steps on MNIST take about half a minute on two cores.
    Features are divided by the root of their mean square on the training images: the scale of a
    ReLU layer is arbitrary, and the kernel of the kernel distance depends on it.

    Args:
      images: [N, H, W] or [N, H, W, C]; bytes 0..255 are scaled to [0, 1], floats are kept as they
        are.
      labels: classes [N], or [N, columns] for several factors, integers from 0.
      data: the name of the data, of letters, digits, `.`, `_` and `-`.
    """
    images = as_images("images", images)
    labels = label_columns(labels, len(images))
    source = ArraySource(jnp.asarray(images), jnp.asarray(labels), _scale(images))
    return train_features_on(
        source,
        tuple(int(n) for n in labels.max(axis=0) + 1),
        data=data,
        seed=seed,
        num_steps=num_steps,
        batch_size=batch_size,
        learning_rate=learning_rate,
        num_features=num_features,
    )


def train_features_on(
    source: Source,
    num_classes: tuple[int, ...],
    *,
    data: str,
    seed: int = 0,
    num_steps: int = 1500,
    batch_size: int = 128,
    learning_rate: float = 2e-3,
    num_features: int = 128,
) -> ConvFeatures:
    """As `train_features`, for a source of images [H, W, C] whose labels are below `num_classes`.

    Images are converted batch by batch.

    Raises:
      InputError: a setting is out of range, or `data` is no plain name.
    """
    check_range("num_steps", num_steps, 1)
    check_range("batch_size", batch_size, 1)
    check_range("num_features", num_features, 1)
    check_range("learning_rate", learning_rate, 0, open_low=True)
    if not re.fullmatch(r"[\w.-]+", data):
        raise InputError(f"data = {format_value(data)}: must be letters, digits, '.', '_' and '-'")
    settings: dict[str, Any] = {
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "width": num_features,
    }
    model = Classifier(num_classes, source.shape, num_features)
    tx = optax.adam(optax.cosine_decay_schedule(learning_rate, num_steps))
    state = train.init_state(fixed_key(seed), model, jnp.zeros((1, *source.shape), jnp.float32), tx)
    batches = functools.partial(
        order.batch_index, num_examples=source.num_examples, batch_size=batch_size, seed=seed
    )
    source = jax.tree.map(jnp.asarray, source)
    steps = split_steps(num_steps)
    epochs = {
        size: train.make_train_epoch(classification_loss(model), tx, order=batches, num_steps=size)
        for size in {len(part) for part in steps}
    }
    for part in track(steps, "feature network", "part"):
        state, metrics = epochs[len(part)](state, source)
        jax.block_until_ready(metrics)
    name = features_name(source, data=data, seed=seed, num_steps=num_steps, **settings)
    features = ConvFeatures(name, model, jax.device_get(state.params))
    sample = np.random.default_rng(0).permutation(source.num_examples)[:NUM_SCALED]
    squares = [np.square(features(x), dtype=np.float64).mean(axis=1) for x in _read(source, sample)]
    scale = float(np.sqrt(np.concatenate(squares).mean()))
    return dataclasses.replace(features, scale=scale or 1.0)


def features_name(
    source: Source,
    *,
    data: str,
    seed: int = 0,
    num_steps: int = 1500,
    batch_size: int = 128,
    learning_rate: float = 2e-3,
    width: int = 128,
) -> str:
    """The settings of a network: `conv<size>-<data>-n<images>-steps<steps>-seed<seed>-<hash>`.

    The hash has six digits, of images and labels as they are stored, of how they are read, and of
    batch size, learning rate and width.
    """
    digest = hashlib.sha256(repr((source.reading, batch_size, learning_rate, width)).encode())
    for array in jax.tree.leaves(source):
        digest.update(np.ascontiguousarray(array).data)
    size = "x".join(str(side) for side in dict.fromkeys(source.shape[:2]))
    return (
        f"conv{size}-{data}-n{source.num_examples}-steps{num_steps}-seed{seed}-"
        f"{digest.hexdigest()[:6]}"
    )


def _read(source: Source, index: np.ndarray) -> Iterator[np.ndarray]:
    """Images at index [n], as the model sees them, some at a time."""
    for start in range(0, len(index), BATCH):
        batch = source.take(jnp.asarray(index[start : start + BATCH]), jax.random.key(0))
        yield np.asarray(batch["x"])


def _readable(path: str | os.PathLike) -> str | os.PathLike | io.BytesIO:
    """The path, or the content of a file in a bucket."""
    path = as_path(path, "path")
    return path if is_local(path) else io.BytesIO(path.read_bytes())


def load_features(path: str | os.PathLike) -> ConvFeatures:
    """Load a file written by `ConvFeatures.save`; raises InputError for any other file."""
    try:
        with np.load(_readable(path), allow_pickle=False) as file:
            about = json.loads(str(file["about"]))
            flat = {key: file[key] for key in file.files if key != "about"}
        model = {
            key: tuple(value) if isinstance(value, list) else value
            for key, value in about["model"].items()
        }
        params = traverse_util.unflatten_dict(flat, sep="/")
        features = ConvFeatures(
            str(about["name"]), Classifier(**model), params, float(about["scale"])
        )
        # Fails if the parameters have wrong shapes.
        features(np.zeros((1, *features.model.shape), np.float32))
    except Exception as error:  # numpy, zipfile and flax raise many types for a damaged file
        reason = str(error) or type(error).__name__
        raise InputError.of(
            "path", os.fspath(path), f"holds no feature function ({reason})"
        ) from error
    return features


@functools.partial(jax.jit, static_argnums=(0, 1))
@full_float32
def _apply(model: Classifier, method: str, params: Params, x: Array) -> Array:
    return model.apply(params, x.astype(jnp.float32) * _scale(x), method=method)


def _scale(images: Array | np.ndarray) -> float:
    return 1 / 255 if images.dtype == np.uint8 else 1.0


def _flat(params: Params) -> dict[str, Any]:
    return {
        key: np.asarray(value) for key, value in traverse_util.flatten_dict(params, sep="/").items()
    }
