"""Data sets by name: two that are embedded, a person's own .npz, and any image set of tensorflow-datasets."""

import lzma
import os
import zipfile
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from vae_jax.data import sprites
from vae_jax.data.prepare import BINARIZATIONS, CUT_TEST_RULE, cut_test, from_arrays
from vae_jax.data.sources import Dataset, SpriteSource
from vae_jax.errors import InputError, check_choice

NUM_VALID_SPRITES, NUM_TEST_SPRITES = 2_000, 5_000


def load(name: str, *, dir: str = "", path: str = "", binarization: str = "none", valid_fraction: float = 0.1) -> Dataset:
    """The data set `name`: 'sprites', 'digits', 'npz' (from `path`), or one of tensorflow-datasets (from `dir`).

    `binarization` and `valid_fraction` are those of `from_arrays`. Raises InputError where it cannot be had.
    """
    check_choice("config.data.binarization", binarization, BINARIZATIONS)
    if name == "sprites":
        if binarization != "none":
            raise InputError(f"config.data.binarization = {binarization!r}: sprites are binary already; must be 'none'")
        return _sprites()
    test_rule = "as in the source"
    if name == "digits":
        arrays, test_rule = _digits(), CUT_TEST_RULE
    elif name == "npz":
        arrays = _npz(os.path.expanduser(path))
    else:
        from vae_jax.data.tfds import read_arrays  # slow to import, and needed by no other source

        arrays, test_rule = read_arrays(name, os.path.expanduser(dir))
    where = f"npz file {path}" if name == "npz" else name
    return from_arrays(arrays, name=where, binarization=binarization, valid_fraction=valid_fraction, test_rule=test_rule)


def _sprites() -> Dataset:
    """The dSprites images, binary by construction, cut by the fixed shuffle of all 737,280."""
    num_valid, num_held_out = NUM_VALID_SPRITES, NUM_VALID_SPRITES + NUM_TEST_SPRITES
    rule = f"positions 0 to {num_valid - 1} (valid), to {num_held_out - 1} (test), of the swap-or-not shuffle with seed 0"
    return Dataset(
        name="sprites",
        valid=SpriteSource(0, num_valid),
        test=SpriteSource(num_valid, NUM_TEST_SPRITES),
        train=SpriteSource(num_held_out, sprites.NUM_IMAGES - num_held_out),
        preparation={"test": rule, "validation": rule, "scale": 1.0, "binarization": "none", "binary": True},
    )


def _digits() -> Mapping[str, Any]:
    """The 1,797 handwritten digits of 8x8 (UCI Optical Recognition) inside scikit-learn; a fifth of them is for test."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    return cut_test((bunch.images / 16).astype(np.float32), bunch.target)


def _npz(path: str) -> Mapping[str, Any]:
    """All arrays of an .npz file; nothing in it is executed."""
    if not path:
        raise InputError("config.data.path = '': the data set 'npz' needs the path of an .npz file")
    if not os.path.isfile(path):
        raise InputError(f"config.data.path = {path!r}: no such file")
    if not zipfile.is_zipfile(path):
        raise InputError(f"config.data.path = {path!r}: damaged, or not an .npz file, which numpy.savez writes")
    try:
        with np.load(path, allow_pickle=False) as file:
            return {key: file[key] for key in file.files}
    except (ValueError, OSError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error, lzma.LZMAError) as error:
        raise InputError(f"config.data.path = {path!r}: not a readable .npz of plain arrays ({error})") from error


EMBEDDED = ("sprites", "digits")
