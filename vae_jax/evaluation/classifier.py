"""The classifier whose penultimate layer is a feature function, its loss, and its inputs."""

import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn

from vae_jax.errors import InputError
from vae_jax.nets import ConvEncoder, Dense
from vae_jax.types import Array, Batch, LossFn, Metrics, Params

WIDTHS = (32, 64, 64, 64, 64)
MAX_GRID = 7  # the convolutions halve an image to at most this size


class Classifier(nn.Module):
    """Convolutions down to 7x7 or below, a hidden layer, and concatenated logits of all labels."""

    num_classes: tuple[int, ...]  # number of classes of each label column
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


def label_columns(labels: Array | np.ndarray, length: int) -> np.ndarray:
    """Labels [N] or [N, columns] as int32 [N, columns]; raises InputError unless whole from 0."""
    labels = np.asarray(labels)
    columns = labels[:, None] if labels.ndim == 1 else labels
    is_table = columns.ndim == 2 and len(columns) == length
    if not is_table or columns.dtype.kind not in "iu" or columns.min() < 0:
        raise InputError(
            f"labels: of shape {labels.shape} and type {labels.dtype}; must be [{length}] or "
            f"[{length}, columns], integers from 0"
        )
    return columns.astype(np.int32)


def classification_loss(model: Classifier) -> LossFn:
    """The cross-entropy, summed over the columns of the labels."""
    ends = np.cumsum(model.num_classes)[:-1]

    def loss_fn(params: Params, batch: Batch, key: Array, step: Array) -> tuple[Array, Metrics]:
        logits = jnp.split(model.apply(params, batch["x"]), ends, axis=-1)
        labels = batch["y"].reshape(len(batch["y"]), -1)
        terms = [
            optax.softmax_cross_entropy_with_integer_labels(part, labels[:, i])
            for i, part in enumerate(logits)
        ]
        return sum(terms).mean(), {}

    return loss_fn
