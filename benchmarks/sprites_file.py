"""Render sprites into an .npz of uint8 images, the same ones as in the project's own run.

python -m benchmarks.sprites_file PATH NUM_TRAIN
"""

import sys

import jax
import numpy as np

from vae_jax.data import Source, load

CHUNK = 2_000  # images rendered at a time


def render(source: Source, num: int) -> np.ndarray:
    """The first images of a source, uint8 [num, 64, 64, 1], 0 and 255."""
    key = jax.random.key(0)
    take = jax.jit(lambda index: (255 * source.take(index, key)["x"]).astype("uint8"))
    starts = range(0, num, CHUNK)
    return np.concatenate(
        [np.asarray(take(np.arange(start, min(start + CHUNK, num)))) for start in starts]
    )


def main(path: str, num_train: str) -> None:
    """Write `num_train` training images and all validation and test images."""
    dataset = load("sprites")
    splits = {
        "valid": dataset.valid.num_examples,
        "test": dataset.test.num_examples,
        "train": int(num_train),
    }
    np.savez(
        path,
        **{
            f"{split}_images": render(getattr(dataset, split), num) for split, num in splits.items()
        },
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
