"""The split of the lines of a file: given by an array, or cut by fixed rules."""

import zipfile

import numpy as np

from vae_jax.data.splits import SPLITS
from vae_jax.data.text.lines import Lines
from vae_jax.errors import InputError
from vae_jax.files import check_file

ARGUMENT = "split_path"
ARRAY = "split"  # name of the array in an .npz file of several


def read_split(path: str, lines: Lines) -> dict[str, np.ndarray]:
    """The lines of train, and of valid and test if there are any.

    Args:
      path: an .npy file, or an .npz file of one array or with an array named split: an integer for
        each line that is not blank, 0 for train, 1 for valid and 2 for test.
      lines: the lines of the file that is split.

    Raises:
      InputError: the file cannot be read, or the array has another shape or other values.
    """
    split = _load(path)
    count = len(lines.texts)
    if split.shape != (count,):
        blank = int(lines.numbers[-1]) - count
        blank_hint = f", without {blank} blank lines or headers" if blank else ""
        raise InputError.of(
            ARGUMENT,
            path,
            f"has shape {split.shape}; must be ({count},), one for each line of text{blank_hint}",
        )
    if split.dtype.kind not in "iub":
        raise InputError.of(ARGUMENT, path, f"has dtype {split.dtype}; must be integers")
    split = split.astype(np.int64)
    wrong = np.flatnonzero((split < 0) | (split >= len(SPLITS)))
    if len(wrong):
        raise InputError.of(
            ARGUMENT,
            path,
            f"has the value {split[wrong[0]]} for line {lines.numbers[wrong[0]]}; must be 0 "
            "(train), 1 (valid) or 2 (test)",
        )
    if not (split == 0).any():
        raise InputError.of(ARGUMENT, path, "no line is of train; it must have some 0")
    rows = {name: np.flatnonzero(split == number) for number, name in enumerate(SPLITS)}
    return {name: index for name, index in rows.items() if len(index)}


def _load(path: str) -> np.ndarray:
    check_file(ARGUMENT, path)
    try:
        if not zipfile.is_zipfile(path):
            return np.load(path, allow_pickle=False)
        with np.load(path, allow_pickle=False) as arrays:
            name = ARRAY if len(arrays.files) != 1 else arrays.files[0]
            return arrays[name]
    except Exception as error:  # numpy and zipfile raise many types
        reason = str(error) or type(error).__name__
        raise InputError.of(
            ARGUMENT,
            path,
            f"not a readable .npy, or .npz with an array named {ARRAY!r}, of integers ({reason})",
        ) from error
