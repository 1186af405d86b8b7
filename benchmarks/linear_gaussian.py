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
NOISE = 1.0  # standard deviation of every pixel
SPREADS = (2.5, 2.1, 1.7, 1.3, 1.0)  # standard deviations along five axes, without the noise


def make_images(seed: int = 0) -> np.ndarray:
    """Draw x = W z + noise with orthogonal columns of W, images [N, 8, 8]."""
    rng = np.random.default_rng(seed)
    size = int(np.prod(SHAPE))
    axes, _ = np.linalg.qr(rng.normal(size=(size, len(SPREADS))))
    z = rng.normal(size=(NUM_IMAGES, len(SPREADS))) * SPREADS
    x = z @ axes.T + NOISE * rng.normal(size=(NUM_IMAGES, size))
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
