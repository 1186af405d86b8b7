"""Run by test_preparing_at_once.py as one of two processes that prepare the same data set.

python tests/programs/prepare_at_once.py FOLDER

Prints the hash of the images that it reads.
"""

import hashlib
import pathlib
import socket
import sys
import time

import numpy as np
import tensorflow_datasets as tfds

from vae_jax.data import tfds as tfds_sets

FOLDER = pathlib.Path(sys.argv[1])


class TinySquares(tfds.core.GeneratorBasedBuilder):
    """Twenty images that are slow to make."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        features = {"image": tfds.features.Tensor(shape=(4, 4, 1), dtype=np.uint8)}
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples(20), "test": self._generate_examples(10)}

    def _generate_examples(self, count):
        with (FOLDER / "prepared").open("a") as log:
            log.write(f"{count}\n")
        for number in range(count):
            time.sleep(0.05)
            yield number, {"image": np.full((4, 4, 1), number, np.uint8)}


if __name__ == "__main__":
    socket.getaddrinfo = lambda *_: []  # as with a network, which this data set doesn't use
    arrays, _, _ = tfds_sets.read_arrays("tiny_squares", str(FOLDER / "data"))
    digest = hashlib.sha256()
    for name in ("train_images", "test_images"):
        digest.update(np.ascontiguousarray(arrays[name]).tobytes())
    print(len(arrays["train_images"]), digest.hexdigest())
