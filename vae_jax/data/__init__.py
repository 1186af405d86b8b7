"""Data: sources that are read by index on the device, their order, and data sets by name.

>>> import numpy as np
>>> from vae_jax import data
>>> images = np.zeros((10, 28, 28), np.uint8)
>>> dataset = data.from_arrays({"train_images": images, "test_images": images[:2]})
>>> dataset.shape, dataset.train.num_examples, dataset.valid.num_examples
((28, 28, 1), 9, 1)
"""

from vae_jax.data import order, sprites
from vae_jax.data.binarization import BINARIZATIONS
from vae_jax.data.load import DESCRIPTIONS, EMBEDDED, load
from vae_jax.data.prepare import from_arrays
from vae_jax.data.sources import ArraySource, Dataset, Reader, Source, SpriteSource
from vae_jax.data.streaming import HostSource

__all__ = [
    "BINARIZATIONS",
    "DESCRIPTIONS",
    "EMBEDDED",
    "ArraySource",
    "Dataset",
    "HostSource",
    "Reader",
    "Source",
    "SpriteSource",
    "from_arrays",
    "load",
    "order",
    "sprites",
]
