"""A self-trained feature function: the penultimate layer of a small convolutional classifier.

Its name contains image size, data and seed, and is part of every metric computed with it:
`conv28-mnist-seed0`. Metrics under different feature functions are not comparable. Trainings of the
same name on different hardware differ in rounding: keep the saved file and its `fingerprint` with
the metrics.
"""

import dataclasses
import functools
import hashlib
import io
import json
import os
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
from vae_jax.files import as_path, is_local, write_atomically
from vae_jax.nets import ConvEncoder, Dense
from vae_jax.types import Array, Batch, Metrics, Params

WIDTHS = (32, 64, 64, 64, 64)
MAX_GRID = 7  # the convolutions halve an image to at most this size
NUM_SCALED = 4096  # maximum number of examples for the scale of the features
BATCH = 256  # images whose features are computed at once


class Classifier(nn.Module):
    """Convolutions down to 7x7 or below, a hidden layer, and concatenated logits of all labels."""

    num_classes: tuple[int, ...]  # for each column of the labels
    shape: tuple[int, int, int]  # [H, W, C] of an image
    num_features: int = 128

    def setup(self) -> None:
        levels = 0
        while levels < len(WIDTHS) and max(self.shape[:2]) > MAX_GRID * 2**levels:
            levels += 1
        self.features = ConvEncoder(channels=WIDTHS[:levels], hidden=(self.num_features,))
        self.head = Dense(sum(self.num_classes))

    def __call__(self, x: Array, key: Array | None = None) -> Array:
        """X [N, H, W, C] -> logits [N, sum(num_classes)]; deterministic."""
        return self.head(self.features(x))

    def penultimate(self, x: Array) -> Array:
        """X [N, H, W, C] -> features [N, F], after the ReLU."""
        return self.features(x)


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
        """Write an .npz file, atomically."""
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
    """Train a classifier and return its penultimate layer, named `conv<H>-<data>-seed<seed>`.

    It minimizes the cross-entropy, summed over the columns of the labels, with Adam and a cosine
    schedule, in one compiled scan. 1,500 steps on MNIST take about half a minute on two cores.
    Features are divided by the root of their mean square on the training images: the scale of a
    ReLU layer is arbitrary, and the kernel of the kernel distance depends on it.

    Args:
      images: [N, H, W] or [N, H, W, C]; bytes 0..255 are scaled to [0, 1], floats are kept as they
        are.
      labels: classes [N], or [N, columns] for several factors, whole numbers from 0.
      data: the name of the data, of letters, digits, `.`, `_` and `-`.
    """
    check_range("num_steps", num_steps, 1)
    check_range("batch_size", batch_size, 1)
    check_range("num_features", num_features, 1)
    check_range("learning_rate", learning_rate, 0, open_low=True)
    if not re.fullmatch(r"[\w.-]+", data):
        raise InputError(f"data = {format_value(data)}: must be letters, digits, '.', '_' and '-'")
    images = as_images("images", images)
    labels = _columns(labels, len(images))
    shape, num_classes = images.shape[1:], tuple(int(n) for n in labels.max(axis=0) + 1)
    model = Classifier(num_classes, shape, num_features)
    tx = optax.adam(optax.cosine_decay_schedule(learning_rate, num_steps))
    source = ArraySource(jnp.asarray(images), jnp.asarray(labels), _scale(images))
    state = train.init_state(jax.random.key(seed), model, jnp.zeros((1, *shape)), tx)
    batches = functools.partial(
        order.batch_index, num_examples=len(images), batch_size=batch_size, seed=seed
    )
    epoch = train.make_train_epoch(_loss(model), tx, order=batches, num_steps=num_steps)
    state, _ = epoch(state, source)
    size = "x".join(str(side) for side in dict.fromkeys(shape[:2]))
    features = ConvFeatures(f"conv{size}-{data}-seed{seed}", model, jax.device_get(state.params))
    sample = np.linspace(0, len(images) - 1, min(len(images), NUM_SCALED)).astype(int)
    scale = float(np.sqrt(np.mean(np.square(features(images[sample])), dtype=np.float64)))
    return dataclasses.replace(features, scale=scale or 1.0)


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
        raise InputError(
            f"path = {os.fspath(path)!r}: holds no feature function ({reason})"
        ) from error
    return features


def as_images(field: str, images: Array | np.ndarray) -> np.ndarray:
    """Images [N, H, W, C] as bytes or float32; raises InputError unless they are finite images."""
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
    is_table = columns.ndim == 2 and len(columns) == length
    if not is_table or columns.dtype.kind not in "iu" or columns.min() < 0:
        raise InputError(
            f"labels: of shape {labels.shape} and type {labels.dtype}; must be [{length}] or "
            f"[{length}, columns], whole numbers from 0"
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
