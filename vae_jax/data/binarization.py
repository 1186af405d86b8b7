"""Images to zeros and ones, once and with a fixed key; `ArraySource` draws those that are drawn anew at each reading."""

import jax
import jax.numpy as jnp
import numpy as np

from vae_jax.types import Array

BINARIZATIONS = ("none", "static", "dynamic", "threshold")
BINARIZATION_SEED = 777  # of the one draw that makes a binarized test set


def binarize(
    images: np.ndarray, scale: float, binarization: str, split: int, index: np.ndarray | None = None
) -> np.ndarray:
    """Zeros and ones, uint8: by threshold, or by one Bernoulli draw with the fixed seed, a key for each example.

    `index` are the examples of the split that the images are, by default all from the first on.
    """
    if binarization == "threshold":
        return (images * scale > 0.5).astype(np.uint8)
    key = jax.random.fold_in(jax.random.key(BINARIZATION_SEED), split)
    index = np.arange(len(images)) if index is None else index
    chunk = 4096
    parts = []
    for start in range(0, len(images), chunk):
        some = slice(start, start + chunk)
        parts.append(np.asarray(_draw(key, index[some], images[some], scale)))
    return np.concatenate(parts)


@jax.jit
def _draw(key: Array, index: Array, x: Array, scale: float) -> Array:
    def draw_one(i: Array, x: Array) -> Array:
        return jax.random.bernoulli(jax.random.fold_in(key, i), x.astype(jnp.float32) * scale)

    return jax.vmap(draw_one)(index, x).astype(jnp.uint8)
