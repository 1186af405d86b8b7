"""Data sets by name: two that are embedded, a person's own .npz, and any image set of tensorflow-datasets."""

import dataclasses
import os
import pathlib
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np

from vae_jax.data import sprites
from vae_jax.data.binarization import BINARIZATIONS
from vae_jax.data.prepare import CUT_TEST_RULE, check_values, cut_test, from_arrays
from vae_jax.data.rows import NpyRows, open_npy, open_npz
from vae_jax.data.sources import Dataset, SpriteSource
from vae_jax.errors import InputError, check_choice
from vae_jax.memory import in_gigabytes, machine_memory

LEFT_WHERE_THEY_ARE = ("train_images", "train_labels")  # when they are streamed
PREPARATION = {
    "values": "scaled",
    "scale": 1.0,
    "binarization": "none",
    "binary": True,
    "levels": 2,
}  # of sprites
NUM_VALID_SPRITES, NUM_TEST_SPRITES = 2_000, 5_000


def load(
    name: str,
    *,
    dir: str = "",
    path: str = "",
    values: str = "scaled",
    binarization: str = "none",
    valid_fraction: float = 0.1,
    streaming: bool = False,
) -> Dataset:
    """The data set `name`: 'sprites', 'digits', 'npz' (from `path`), or one of tensorflow-datasets (from `dir`).

    `values`, `binarization`, `valid_fraction` and `streaming` are those of `from_arrays`; the counts of the digits are 0 to 16.
    Raises InputError where it cannot be had.
    """
    check_choice("config.data.binarization", binarization, BINARIZATIONS)
    check_values(values, binarization)
    if name == "sprites":
        if streaming:
            raise InputError(
                "config.data.streaming = True: sprites are rendered on the device, there is nothing to stream"
            )
        if binarization != "none":
            raise InputError(
                f"config.data.binarization = {binarization!r}: sprites are binary already; must be 'none'"
            )
        if values != "scaled":
            raise InputError(
                f"config.data.values = {values!r}: sprites are zeros and ones, no counts; must be 'scaled'"
            )
        return _sprites()
    test_rule = "as in the source"
    if name == "digits":
        arrays, test_rule = _digits(values), CUT_TEST_RULE
    elif name == "npz":
        arrays = _npz(os.path.expanduser(path), streaming)
    else:
        from vae_jax.data.tfds import read_arrays  # slow to import, and needed by no other source

        arrays, test_rule = read_arrays(name, os.path.expanduser(dir), streaming=streaming)
    where = f"npz file {path}" if name == "npz" else name
    options = {
        "values": values,
        "binarization": binarization,
        "valid_fraction": valid_fraction,
        "streaming": streaming,
    }
    dataset = from_arrays(arrays, name=where, test_rule=test_rule, **options)
    if name != "npz":
        return dataset
    file = os.path.basename(
        os.path.abspath(os.path.expanduser(path))
    )  # beside numbers, not the folders of this machine
    return dataclasses.replace(dataset, name=f"npz file {file}")


def _sprites() -> Dataset:
    """The dSprites images, binary by construction, cut by the fixed shuffle of all 737,280."""
    num_valid, num_held_out = NUM_VALID_SPRITES, NUM_VALID_SPRITES + NUM_TEST_SPRITES
    rule = f"positions 0 to {num_valid - 1} (valid), to {num_held_out - 1} (test), of the swap-or-not shuffle with seed 0"
    return Dataset(
        name="sprites",
        valid=SpriteSource(0, num_valid),
        test=SpriteSource(num_valid, NUM_TEST_SPRITES),
        train=SpriteSource(num_held_out, sprites.NUM_IMAGES - num_held_out),
        preparation={"test": rule, "validation": rule, **PREPARATION},
    )


def _digits(values: str) -> Mapping[str, Any]:
    """The 1,797 handwritten digits of 8x8 (UCI Optical Recognition) inside scikit-learn; a fifth of them is for test."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = bunch.images if values == "counts" else bunch.images / 16
    return cut_test(images.astype(np.float32), bunch.target)


def _npz(path: str, streaming: bool) -> Mapping[str, Any]:
    """All arrays of an .npz file, or of a folder of .npy files; nothing in them is executed. `streaming` leaves train there."""
    if not path:
        raise InputError(
            "config.data.path = '': the data set 'npz' needs the path of an .npz file, or of a folder of .npy files"
        )
    if os.path.isdir(path):
        files = {
            file.stem: os.fspath(file)
            for file in sorted(pathlib.Path(path).glob("*_*.npy"))
            if file.is_file()
        }
        return {
            key: _npy(file, key in LEFT_WHERE_THEY_ARE and streaming) for key, file in files.items()
        }
    if not os.path.isfile(path):
        raise InputError(
            f"config.data.path = {path!r}: {'not a regular file' if os.path.exists(path) else 'no such file'}"
        )
    if not _is_archive(path):
        raise InputError(
            f"config.data.path = {path!r}: damaged, or not an .npz file, which numpy.savez writes"
        )
    left = LEFT_WHERE_THEY_ARE if streaming else ()
    try:
        with zipfile.ZipFile(path) as archive:
            sizes = {
                info.filename.removesuffix(".npy"): info.file_size for info in archive.infolist()
            }
        if sum(size for key, size in sizes.items() if key not in left) > machine_memory():
            raise ValueError(
                f"unpacked, its arrays would take more than the {in_gigabytes(machine_memory())} of this machine"
            )
        with np.load(path, allow_pickle=False) as file:
            arrays = {key: file[key] for key in file.files if key not in left}
            return arrays | {key: open_npz(path, key) for key in left if key in file.files}
    except InputError:
        raise
    except (
        Exception
    ) as error:  # a damaged file comes as many types from numpy, zipfile and what they unpack with
        reason = str(error) or type(error).__name__
        raise InputError(
            f"config.data.path = {path!r}: not a readable .npz of plain arrays ({reason})"
        ) from error


def _is_archive(path: str) -> bool:
    """Whether it is a zip file from its first byte on; of any other, numpy would take it for a pickle."""
    with open(path, "rb") as file:
        return file.read(2) == b"PK" and zipfile.is_zipfile(path)


def _npy(path: str, streaming: bool) -> np.ndarray | NpyRows:
    if streaming:
        return open_npy(path)
    try:
        return np.load(path, allow_pickle=False)
    except Exception as error:
        reason = str(error) or type(error).__name__
        raise InputError(
            f"config.data.path: {path!r} is not a readable .npy of plain numbers ({reason})"
        ) from error


EMBEDDED = ("sprites", "digits")
