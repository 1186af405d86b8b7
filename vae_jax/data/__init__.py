"""Data: sources on the device read by index, their order, and the sets that come by name."""

from vae_jax.data import order, sprites
from vae_jax.data.binarization import BINARIZATIONS
from vae_jax.data.load import EMBEDDED, load
from vae_jax.data.prepare import from_arrays
from vae_jax.data.sources import ArraySource, Dataset, Source, SpriteSource
from vae_jax.data.streaming import HostSource

__all__ = [
    "BINARIZATIONS",
    "EMBEDDED",
    "ArraySource",
    "Dataset",
    "HostSource",
    "Source",
    "SpriteSource",
    "from_arrays",
    "load",
    "order",
    "sprites",
]
