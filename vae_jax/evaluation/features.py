"""A feature function that the project trains itself: the penultimate layer of a small convolutional classifier.

Its name says the size of the images, the data and the seed, and stands in every number made with it: `conv28-mnist-seed0`.
Numbers under two feature functions do not compare, and two trainings of one name on two kinds of machine differ in rounding:
keep the saved file with the numbers, and its `fingerprint`.
"""

import dataclasses
import functools
import hashlib
import io
import json
import os
import pathlib
import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn
from flax import traverse_util

from vae_jax import train
from vae_jax.data import ArraySource, order
from vae_jax.errors import InputError, check_range, format_value
from vae_jax.files import write_atomically
from vae_jax.nets import ConvEncoder, Dense
from vae_jax.types import Array, Batch, Metrics, Params

WIDTHS = (32, 64, 64, 64, 64)
SMALLEST = 7  # the grid that the convolutions halve an image to, at most
NUM_SCALED = 4096  # examples that the scale of the features is taken from, at most
BATCH = 256  # images whose features are computed at once


class Classifier(nn.Module):
    """Convolutions that halve the image to 7x7 or below, one hidden layer, and logits of each of the labels side by side."""

    num_classes: tuple[int, ...]  # of each column of the labels
    shape: tuple[int, int, int]  # of an image
    num_features: int = 128

    def setup(self) -> None:
        levels = next(
            n
            for n in range(len(WIDTHS) + 1)
            if n == len(WIDTHS) or max(self.shape[:2]) <= SMALLEST * 2**n
        )
        self.features = ConvEncoder(channels=WIDTHS[:levels], hidden=(self.num_features,))
        self.head = Dense(sum(self.num_classes))

    def __call__(self, x: Array, key: Array | None = None) -> Array:
        """X [N, H, W, C] -> logits [N, sum(num_classes)]; nothing is drawn."""
        return self.head(self.features(x))

    def penultimate(self, x: Array) -> Array:
        """X [N, H, W, C] -> features [N, F], after the rectifier."""
        return self.features(x)


@dataclasses.dataclass(frozen=True, eq=False)
class ConvFeatures:
    """Images to the features of a trained `Classifier`; a `FeatureFunction`."""

    name: str
    model: Classifier
    params: Params
    scale: float = 1.0  # that the layer is divided by

    def __call__(self, images: Array | np.ndarray) -> np.ndarray:
        """Features [N, F] of images [N, H, W] or [N, H, W, C]: bytes 0..255, or floats in [0, 1] as in training."""
        return self._by_batch(images, "penultimate") / np.float32(self.scale)

    def classify(self, images: Array | np.ndarray) -> np.ndarray:
        """The likeliest class [N], or [N, columns] where the labels had columns."""
        logits = np.split(
            self._by_batch(images, "__call__"), np.cumsum(self.model.num_classes)[:-1], axis=1
        )
        classes = np.stack([part.argmax(axis=1) for part in logits], axis=1)
        return classes[:, 0] if len(logits) == 1 else classes

    @property
    def fingerprint(self) -> str:
        """The first 12 digits of the SHA-256 of parameters and scale: two functions that have it are one."""
        digest = hashlib.sha256(repr(float(self.scale)).encode())
        for key, value in sorted(_flat(self.params).items()):
            digest.update(key.encode() + np.ascontiguousarray(value).tobytes())
        return digest.hexdigest()[:12]

    def save(self, path: str | os.PathLike) -> None:
        """All of it in one .npz, which is written whole or not at all."""
        model = {
            field: getattr(self.model, field) for field in ("num_classes", "shape", "num_features")
        }
        content = io.BytesIO()
        np.savez(
            content,
            about=json.dumps({"name": self.name, "scale": self.scale, "model": model}),
            **_flat(self.params),
        )
        try:
            write_atomically(pathlib.Path(path), content.getvalue())
        except OSError as error:
            raise InputError(
                f"path = {os.fspath(path)!r}: cannot be written ({error.strerror or error})"
            ) from error

    def _by_batch(self, images: Array | np.ndarray, method: str) -> np.ndarray:
        images = as_images("images", images)
        if images.shape[1:] != tuple(self.model.shape):
            raise InputError(
                f"images: has shape {images.shape}; {self.name} takes [N, {str(self.model.shape)[1:-1]}]"
            )
        batches = []
        for start in range(0, len(images), BATCH):
            x = images[start : start + BATCH]
            padding = [
                (0, BATCH - len(x)),
                (0, 0),
                (0, 0),
                (0, 0),
            ]  # so that one program serves all sizes
            batches.append(
                np.asarray(_apply(self.model, method, self.params, np.pad(x, padding)))[: len(x)]
            )
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
    """Trains a classifier of the images and returns its penultimate layer, as `conv<H>-<data>-seed<seed>`.

    It minimizes the cross-entropy of the labels, summed over their columns, by Adam under a cosine schedule, in one compiled
    scan; 1,500 steps on MNIST take about half a minute on two cores. Features are divided by the root of their mean square on
    the training images, since a rectified layer has no scale of its own and the kernel of the kernel distance needs one.

    Args:
      images: [N, H, W] or [N, H, W, C]; bytes 0..255 are scaled to [0, 1], floats are taken as they are.
      labels: classes [N], or [N, columns] where there are several factors, whole numbers from 0.
      data: the name of the data, in letters, digits, `.`, `_` and `-`.
    """
    for field, value in {
        "num_steps": num_steps,
        "batch_size": batch_size,
        "num_features": num_features,
    }.items():
        check_range(field, value, 1)
    check_range("learning_rate", learning_rate, 0, open_low=True)
    if not re.fullmatch(r"[\w.-]+", data):
        raise InputError(f"data = {format_value(data)}: must be letters, digits, '.', '_' and '-'")
    images = as_images("images", images)
    labels = _columns(labels, len(images))
    shape, num_classes = images.shape[1:], tuple(int(n) for n in labels.max(axis=0) + 1)
    model, tx = (
        Classifier(num_classes, shape, num_features),
        optax.adam(optax.cosine_decay_schedule(learning_rate, num_steps)),
    )
    source = ArraySource(jnp.asarray(images), jnp.asarray(labels), _scale(images))
    state = train.init_state(jax.random.key(seed), model, jnp.zeros((1, *shape)), tx)
    batches = functools.partial(
        order.batch_index, num_examples=len(images), batch_size=batch_size, seed=seed
    )
    epoch = train.make_train_epoch(_loss(model), tx, order=batches, num_steps=num_steps)
    state, _ = epoch(state, source)
    size = "x".join(str(side) for side in dict.fromkeys(shape[:2]))
    features = ConvFeatures(f"conv{size}-{data}-seed{seed}", model, jax.device_get(state.params))
    some = features(
        images[np.linspace(0, len(images) - 1, min(len(images), NUM_SCALED)).astype(int)]
    )
    scale = float(np.sqrt(np.mean(np.square(some), dtype=np.float64)))
    return dataclasses.replace(features, scale=scale or 1.0)


def load_features(path: str | os.PathLike) -> ConvFeatures:
    """What `ConvFeatures.save` wrote; InputError where it is not that."""
    try:
        with np.load(path, allow_pickle=False) as file:
            about, flat = (
                json.loads(str(file["about"])),
                {key: file[key] for key in file.files if key != "about"},
            )
        model = {
            key: tuple(value) if isinstance(value, list) else value
            for key, value in about["model"].items()
        }
        params = traverse_util.unflatten_dict(flat, sep="/")
        features = ConvFeatures(
            str(about["name"]), Classifier(**model), params, float(about["scale"])
        )
        features(
            np.zeros((1, *features.model.shape), np.float32)
        )  # parameters of another shape show here
    except Exception as error:  # a damaged file comes as many types from numpy, zipfile and flax
        reason = str(error) or type(error).__name__
        raise InputError(
            f"path = {os.fspath(path)!r}: holds no feature function ({reason})"
        ) from error
    return features


def as_images(field: str, images: Array | np.ndarray) -> np.ndarray:
    """Images [N, H, W, C] as bytes or float32; InputError where they are not finite images."""
    images = np.asarray(images)
    images = images[..., None] if images.ndim == 3 else images
    if images.ndim != 4 or not images.size:
        raise InputError(f"{field}: has shape {images.shape}; must be [N, H, W] or [N, H, W, C]")
    if images.dtype == np.uint8:
        return images
    if images.dtype.kind not in "bf" or not np.isfinite(images).all():
        raise InputError(
            f"{field}: of type {images.dtype}; must be bytes, or floats that are all finite"
        )
    return images.astype(np.float32)


def _columns(labels: Array | np.ndarray, length: int) -> np.ndarray:
    labels = np.asarray(labels)
    columns = labels[:, None] if labels.ndim == 1 else labels
    if (
        columns.ndim != 2
        or len(columns) != length
        or columns.dtype.kind not in "iu"
        or columns.min() < 0
    ):
        raise InputError(
            f"labels: of shape {labels.shape} and type {labels.dtype}; must be [{length}] or [{length}, columns], "
            "whole numbers from 0"
        )
    return columns.astype(np.int32)


def _loss(model: Classifier) -> Any:
    ends = np.cumsum(model.num_classes)[:-1]

    def loss_fn(params: Params, batch: Batch, key: Array, step: Array) -> tuple[Array, Metrics]:
        logits = jnp.split(model.apply(params, batch["x"]), ends, axis=-1)
        terms = [
            optax.softmax_cross_entropy_with_integer_labels(part, batch["y"][:, i])
            for i, part in enumerate(logits)
        ]
        return sum(terms).mean(), {}

    return loss_fn


@functools.partial(jax.jit, static_argnums=(0, 1))
def _apply(model: Classifier, method: str, params: Params, x: Array) -> Array:
    return model.apply(params, x.astype(jnp.float32) * _scale(x), method=method)


def _scale(images: Array | np.ndarray) -> float:
    return 1 / 255 if images.dtype == np.uint8 else 1.0


def _flat(params: Params) -> dict[str, np.ndarray]:
    return {
        key: np.asarray(value) for key, value in traverse_util.flatten_dict(params, sep="/").items()
    }
