"""Binarize images once, with a fixed key; `ArraySource` redraws dynamically binarized images."""

import math

import jax
import jax.numpy as jnp
import numpy as np

from vae_jax.data.fixed_random import fixed_draws, fixed_key
from vae_jax.types import Array

BINARIZATIONS = ("none", "static", "dynamic", "threshold")
BINARIZATION_SEED = 777  # seed of binarized test sets
SMALL, LARGE = 512, 4096  # images drawn at a time
MAX_FILLED = 2**24  # values drawn at a time; larger images are not filled up


def binarize(
    images: np.ndarray, scale: float, binarization: str, split: int, index: np.ndarray | None = None
) -> np.ndarray:
    """Zeros and ones, uint8 [N, *E], of images [N, *E] that are x after multiplying by `scale`.

    They are by threshold, x > 1/2, or a Bernoulli draw with the fixed seed. `index` [N] has the
    positions of the images in the split, by default 0 .. N - 1; each has its own key.
    """
    if binarization == "threshold":
        return (images * scale > 0.5).astype(np.uint8)
    key = fixed_key(BINARIZATION_SEED)
    # A whole split is filled up to one of two shapes, so that one program serves several splits.
    chunk = SMALL if index is None and len(images) <= SMALL else LARGE
    is_filled = index is None and chunk * math.prod(images.shape[1:]) <= MAX_FILLED
    index = np.arange(len(images)) if index is None else index
    parts = []
    for start in range(0, len(images), chunk):
        positions, x = index[start : start + chunk], images[start : start + chunk]
        num = len(x)
        if is_filled and num < chunk:
            positions, x = np.resize(positions, chunk), np.resize(x, (chunk, *x.shape[1:]))
        with fixed_draws():
            parts.append(np.asarray(_draw(key, split, positions, x, scale))[:num])
    return np.concatenate(parts) if parts else np.zeros(images.shape, np.uint8)


@jax.jit
def _draw(key: Array, split: int, index: Array, x: Array, scale: float) -> Array:
    key = jax.random.fold_in(key, split)

    def draw_one(i: Array, x: Array) -> Array:
        return jax.random.bernoulli(jax.random.fold_in(key, i), x.astype(jnp.float32) * scale)

    return jax.vmap(draw_one)(index, x).astype(jnp.uint8)
