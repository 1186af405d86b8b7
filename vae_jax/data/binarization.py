"""Binarize images once, with a fixed key; `ArraySource` redraws dynamically binarized images."""

import jax
import jax.numpy as jnp
import numpy as np

from vae_jax.data.fixed_random import fixed_draws, fixed_key
from vae_jax.types import Array

BINARIZATIONS = ("none", "static", "dynamic", "threshold")
BINARIZATION_SEED = 777  # seed of binarized test sets


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
    index = np.arange(len(images)) if index is None else index
    chunk = 4096
    parts = []
    for start in range(0, len(images), chunk):
        rows = slice(start, start + chunk)
        with fixed_draws():
            parts.append(np.asarray(_draw(key, split, index[rows], images[rows], scale)))
    return np.concatenate(parts)


@jax.jit
def _draw(key: Array, split: int, index: Array, x: Array, scale: float) -> Array:
    key = jax.random.fold_in(key, split)

    def draw_one(i: Array, x: Array) -> Array:
        return jax.random.bernoulli(jax.random.fold_in(key, i), x.astype(jnp.float32) * scale)

    return jax.vmap(draw_one)(index, x).astype(jnp.uint8)
