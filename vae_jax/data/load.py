"""Data sets by name: two embedded ones, user-provided .npz files, and tensorflow-datasets."""

import contextlib
import dataclasses
import importlib.util
import os
import pathlib
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np

from vae_jax.data import sprites
from vae_jax.data.prepare import CUT_TEST_RULE, check_values, cut_test, from_arrays
from vae_jax.data.rows import NpyRows, open_npy, open_npz
from vae_jax.data.sources import Dataset, SpriteSource
from vae_jax.errors import InputError
from vae_jax.memory import in_gigabytes, machine_memory

EMBEDDED = ("sprites", "digits")
STREAMED_ARRAYS = ("train_images", "train_labels")
SPRITES_PREPARATION = {
    "values": "scaled",
    "scale": 1.0,
    "binarization": "none",
    "binary": True,
    "levels": 2,
}
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
    """Load a data set by name.

    Args:
      name: 'sprites', 'digits', 'npz', or a name of tensorflow-datasets.
      dir: data directory of tensorflow-datasets.
      path: for 'npz': an .npz file or a folder of .npy files.
      values, binarization, valid_fraction, streaming: as for `from_arrays`. As counts, the digits
        have values 0 to 16.

    Raises:
      InputError: the data set is unavailable or does not support an option.
    """
    check_values(values, binarization)
    if name == "sprites":
        if streaming:
            raise InputError(
                "streaming = True: sprites are rendered on the device, there is nothing to stream; "
                "must be False"
            )
        if binarization != "none":
            raise InputError(
                f"binarization = {binarization!r}: sprites are already binary; must be 'none'"
            )
        if values != "scaled":
            raise InputError(
                f"values = {values!r}: sprites are zeros and ones, not counts; must be 'scaled'"
            )
        return _sprites()
    test_rule = "as in the source"
    if name == "digits":
        arrays, test_rule = _digits(values), CUT_TEST_RULE
    elif name == "npz":
        arrays = _npz(os.path.expanduser(path), streaming)
    else:
        from vae_jax.data.tfds import read_arrays  # slow to import

        arrays, test_rule = read_arrays(name, os.path.expanduser(dir), streaming=streaming)
    dataset = from_arrays(
        arrays,
        name=f"npz file {path}" if name == "npz" else name,
        test_rule=test_rule,
        values=values,
        binarization=binarization,
        valid_fraction=valid_fraction,
        streaming=streaming,
    )
    if name != "npz":
        return dataset
    # Results name the file only, without the folders of this machine.
    file = os.path.basename(os.path.abspath(os.path.expanduser(path)))
    return dataclasses.replace(dataset, name=f"npz file {file}")


def _sprites() -> Dataset:
    """The dSprites images, binary by construction, split by the fixed shuffle of all 737,280."""
    num_valid = NUM_VALID_SPRITES
    num_held_out = num_valid + NUM_TEST_SPRITES
    rule = (
        f"positions 0 to {num_valid - 1} (valid), to {num_held_out - 1} (test), "
        "of the swap-or-not shuffle with seed 0"
    )
    return Dataset(
        name="sprites",
        valid=SpriteSource(0, num_valid),
        test=SpriteSource(num_valid, NUM_TEST_SPRITES),
        train=SpriteSource(num_held_out, sprites.NUM_IMAGES - num_held_out),
        preparation={"test": rule, "validation": rule, **SPRITES_PREPARATION},
    )


def _digits(values: str) -> Mapping[str, Any]:
    """The 1,797 handwritten digits of 8x8 pixels in scikit-learn (UCI); a fifth is the test set."""
    table = _digits_table()
    images = table[:, :-1].reshape(-1, 8, 8)
    images = images if values == "counts" else images / 16
    return cut_test(images.astype(np.float32), table[:, -1].astype(np.int64))


def _digits_table(package: str = "sklearn") -> np.ndarray:
    """Pixels and label of each digit, [N, 65], without the slow import of scikit-learn."""
    spec = importlib.util.find_spec(package)
    for folder in (spec and spec.submodule_search_locations) or ():
        path = os.path.join(folder, "datasets", "data", "digits.csv.gz")
        with contextlib.suppress(OSError, ValueError):
            return np.loadtxt(path, delimiter=",")
    from sklearn.datasets import load_digits  # the file has moved in this version

    bunch = load_digits()
    return np.column_stack([bunch.data, bunch.target])


def _npz(path: str, streaming: bool) -> Mapping[str, Any]:
    """All arrays of an .npz file, or of a folder of .npy files, without executing pickles.

    With `streaming`, the training arrays stay on disk.
    """
    if not path:
        raise InputError(
            "path = '': the data set 'npz' needs the path of an .npz file, "
            "or of a folder of .npy files"
        )
    streamed = STREAMED_ARRAYS if streaming else ()
    if os.path.isdir(path):
        files = {
            file.stem: os.fspath(file)
            for file in sorted(pathlib.Path(path).glob("*_*.npy"))
            if file.is_file()
        }
        return {key: _npy(file, key in streamed) for key, file in files.items()}
    if not os.path.isfile(path):
        problem = "not a regular file" if os.path.exists(path) else "no such file"
        raise InputError(f"path = {path!r}: {problem}")
    if not _is_archive(path):
        raise InputError(
            f"path = {path!r}: damaged, or not an .npz file; must be written by numpy.savez"
        )
    try:
        with zipfile.ZipFile(path) as archive:
            sizes = {
                info.filename.removesuffix(".npy"): info.file_size for info in archive.infolist()
            }
        if sum(size for key, size in sizes.items() if key not in streamed) > machine_memory():
            raise ValueError(
                "unpacked, its arrays would take more than the "
                f"{in_gigabytes(machine_memory())} of this machine"
            )
        with np.load(path, allow_pickle=False) as file:
            arrays = {key: file[key] for key in file.files if key not in streamed}
            return arrays | {key: open_npz(path, key) for key in streamed if key in file.files}
    except InputError:
        raise
    except Exception as error:  # numpy, zipfile and decompressors raise many types
        reason = str(error) or type(error).__name__
        raise InputError(
            f"path = {path!r}: not a readable .npz of plain arrays ({reason})"
        ) from error


def _is_archive(path: str) -> bool:
    """True if it is a zip file from its first byte on; numpy would take others for a pickle."""
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
            f"path = {path!r}: not a readable .npy of plain numbers ({reason})"
        ) from error
