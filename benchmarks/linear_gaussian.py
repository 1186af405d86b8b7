"""Images from a linear Gaussian model, whose maximum likelihood has a closed form.

python -m benchmarks.linear_gaussian --output=linear_gaussian.npz
"""

import argparse
import io
import pathlib
from collections.abc import Sequence

import numpy as np

from vae_jax.files import write_atomically

NUM_IMAGES, SHAPE = 5_000, (8, 8)
NOISE = 0.04  # standard deviation of every pixel
SPREADS = (0.20, 0.17, 0.14, 0.11, 0.09)  # standard deviations along five axes, without the noise


def make_images(seed: int = 0) -> np.ndarray:
    """Draw x = 1/2 + W z + noise with orthogonal columns of W, images [N, 8, 8] in [0, 1].

    Raises:
      ValueError: a value leaves [0, 1].
    """
    rng = np.random.default_rng(seed)
    size = int(np.prod(SHAPE))
    axes, _ = np.linalg.qr(rng.normal(size=(size, len(SPREADS))))
    z = rng.normal(size=(NUM_IMAGES, len(SPREADS))) * SPREADS
    x = 0.5 + z @ axes.T + NOISE * rng.normal(size=(NUM_IMAGES, size))
    if x.min() < 0 or x.max() > 1:
        raise ValueError(f"values from {x.min():.3f} to {x.max():.3f}; must be in [0, 1]")
    return x.reshape(NUM_IMAGES, *SHAPE).astype(np.float32)


def main(argv: Sequence[str] | None = None) -> None:
    """Write the images to a file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=pathlib.Path, default="linear_gaussian.npz")
    path = parser.parse_args(argv).output
    buffer = io.BytesIO()
    np.savez(buffer, train_images=make_images())
    write_atomically(path, buffer.getvalue())
    print(path)


if __name__ == "__main__":
    main()
