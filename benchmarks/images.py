"""Synthetic uint8 images in memory, the same for all contestants, without downloads.

The speed of a step depends on their number, type and rough sparsity, not on their content.
"""

import numpy as np


def digits(num: int, seed: int = 0) -> np.ndarray:
    """Gray blobs, uint8 [num, 28, 28, 1], with the mean of MNIST, an eighth of full intensity."""
    return (255 * np.exp(-_distances(num, 28, seed, radius=(3.5, 8.0)))).astype(np.uint8)


def sprites(num: int, seed: int = 0) -> np.ndarray:
    """White discs and ellipses on black, uint8 [num, 64, 64, 1], every pixel 0 or 255."""
    return np.where(_distances(num, 64, seed, radius=(4.0, 12.0)) < 1, 255, 0).astype(np.uint8)


def colors(num: int, seed: int = 0) -> np.ndarray:
    """Blobs in each color channel, uint8 [num, 32, 32, 3]."""
    planes = [
        np.exp(-_distances(num, 32, seed + channel, radius=(4.0, 12.0))) for channel in range(3)
    ]
    return (255 * np.concatenate(planes, axis=-1)).astype(np.uint8)


def _distances(num: int, size: int, seed: int, radius: tuple[float, float]) -> np.ndarray:
    """Squared distances [num, size, size, 1] from random centers, in units of random radii."""
    rng = np.random.default_rng(seed)
    axis = np.arange(size, dtype=np.float32)
    center = rng.uniform(0.3 * size, 0.7 * size, (2, num, 1)).astype(np.float32)
    rows, columns = ((axis - center) / rng.uniform(*radius, (2, num, 1)).astype(np.float32)) ** 2
    return (rows[:, :, None] + columns[:, None, :])[..., None]
