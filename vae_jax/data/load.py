"""Data sets by name: embedded, user-provided arrays and tables, and tensorflow-datasets."""

import contextlib
import dataclasses
import importlib.util
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from vae_jax.data import sprites
from vae_jax.data.array_files import read_path
from vae_jax.data.images import describe_shape
from vae_jax.data.missing_splits import warn_complete
from vae_jax.data.prepare import check_values, convert_examples, from_arrays
from vae_jax.data.sources import ArraySource, Dataset, SpriteSource
from vae_jax.data.splits import CUT_TEST_RULE, SPLITS, cut_test
from vae_jax.data.text.named import AUTO, TEXTS, choose_alphabet
from vae_jax.errors import InputError

EMBEDDED = ("sprites", "digits", "breast_cancer", "penguins", "molecules", "unicode_names")
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
    image_size: int = 0,
    schema: str = "",
    missing: bool = False,
    alphabet: str = AUTO,
    max_length: int = 0,
    split_path: str = "",
) -> Dataset:
    """Load a data set by name.

    Args:
      name: 'sprites', 'digits', 'breast_cancer', 'penguins', 'molecules', 'unicode_names', 'npz',
        'table', 'text', or a name of tensorflow-datasets.
      dir: data directory of tensorflow-datasets.
      path: data of 'npz': an .npz, .npy or .h5 file, a folder of .npy files, or one of images (PNG,
        JPEG, WebP). Data of 'table': a CSV or Parquet file. Data of 'text': a .txt or .smi file.
      values, binarization, valid_fraction, streaming, missing: as for `from_arrays`. As counts, the
        digits have values 0 to 16.
      image_size: side to which the images of a folder are resized and cropped; 0: as they are.
      schema: JSON file that overrides the kinds of the columns of a table.
      alphabet, max_length, split_path: of lines, as for `text.dataset.load_text`; the alphabet
        'auto' is 'smiles' for molecules and .smi files, else 'characters'.

    Raises:
      InputError: the data set is unavailable or does not support an option.
    """
    check_values(values, binarization)
    if name == "sprites":
        if streaming:
            raise InputError.of(
                "streaming",
                streaming,
                "sprites are rendered on the device, there is nothing to stream; must be False",
            )
        if binarization != "none":
            raise InputError.of(
                "binarization", binarization, "sprites are already binary; must be 'none'"
            )
        if values != "scaled":
            raise InputError.of(
                "values", values, "sprites are zeros and ones, not counts; must be 'scaled'"
            )
        if missing:
            warn_complete(name)
        return _sprites()
    if name in ("table", "penguins"):
        _check_options(TABLE_OPTIONS, values, binarization, streaming, missing)
        return _table(name, path, schema, missing, valid_fraction)
    if name in TEXTS:
        _check_options(TEXT_OPTIONS, values, binarization, streaming, missing)
        return TEXTS[name](
            path,
            alphabet=choose_alphabet(name, path, alphabet),
            max_length=max_length,
            split_path=split_path,
            valid_fraction=valid_fraction,
        )
    test_rule = "as in the source"
    factor_names: tuple[str, ...] = ()
    if name == "digits":
        arrays, test_rule = _digits(values), CUT_TEST_RULE
    elif name == "breast_cancer":
        arrays, test_rule = _breast_cancer(), CUT_TEST_RULE
    elif name == "npz":
        arrays = read_path(os.path.expanduser(path), streaming=streaming, image_size=image_size)
    else:
        from vae_jax.data.tfds import read_arrays  # slow to import

        arrays, test_rule, factor_names = read_arrays(
            name, os.path.expanduser(dir), streaming=streaming
        )
    dataset = from_arrays(
        arrays,
        name=f"{_noun(path)} {path}" if name == "npz" else name,
        test_rule=test_rule,
        values=values,
        binarization=binarization,
        valid_fraction=valid_fraction,
        streaming=streaming,
        missing=missing,
    )
    if name != "npz":
        return dataclasses.replace(dataset, factor_names=factor_names)
    # Results name the file only, without the folders of this machine.
    file = os.path.basename(os.path.abspath(os.path.expanduser(path)))
    return dataclasses.replace(dataset, name=f"{_noun(path)} {file}")


def load_examples(
    path: str,
    *,
    values: str = "scaled",
    binarization: str = "none",
    missing: bool = False,
    image_size: int = 0,
) -> ArraySource:
    """The test examples of a file or folder of arrays, or all of one without a test split.

    Args:
      path: as for `load`.
      values, binarization, missing: as for `from_arrays`; binarized as a test set is.
      image_size: as for `load`.

    Raises:
      InputError: the file cannot be read, or its examples are refused by `convert_examples`.
    """
    path = os.path.expanduser(path)
    arrays = read_path(path, image_size=image_size, needs_train=False)
    split = next(s for s in ("test", "train", "valid") if f"{s}_images" in arrays)
    roles = ("images", "observed")
    keys = [f"{split}_{role}" for role in roles]
    rows = {key: arrays[key] for key in keys if key in arrays}
    name = f"{_noun(path)} {path}"
    options: dict[str, Any] = {"values": values, "binarization": binarization, "missing": missing}
    return convert_examples(rows, name=name, **options)


def _noun(path: str) -> str:
    """The word for a source of arrays: 'npz file', 'file' or 'folder'."""
    if os.path.isdir(os.path.expanduser(path)):
        return "folder"
    return "npz file" if path.lower().endswith(".npz") else "file"


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
        preparation={
            "test": rule,
            "validation": rule,
            "shape": describe_shape((64, 64, 1)),
            "ranges": {split: [0.0, 1.0] for split in SPLITS},
            **SPRITES_PREPARATION,
        },
        factor_names=sprites.FACTOR_NAMES,
    )


def _table(name: str, path: str, schema: str, missing: bool, valid_fraction: float) -> Dataset:
    """A CSV or Parquet file; the kind of each column is inferred, and printed."""
    from vae_jax.data.tables.dataset import load_table

    is_own = name == "table"
    return load_table(
        path if is_own else _penguins(),
        name="" if is_own else name,
        schema=schema,
        missing=missing,
        valid_fraction=valid_fraction,
    )


def _penguins() -> str:
    """The 344 penguins of the Palmer archipelago: categories and sizes, 19 values missing."""
    return os.path.join(os.path.dirname(__file__), "tables", "penguins.csv")


TABLE_OPTIONS = {  # the only value of each option that data sets do not have, and the reason
    "values": ("scaled", "the kinds of the columns tell what is a count"),
    "binarization": ("none", "the kinds of the columns tell what is binary"),
    "streaming": (False, "a table is read into memory"),
}
TEXT_OPTIONS = {
    "values": ("scaled", "lines are tokens of an alphabet"),
    "binarization": ("none", "lines are tokens of an alphabet"),
    "streaming": (False, "lines are read into memory"),
    "missing": (False, "what follows the end of a line is known to be missing"),
}


def _check_options(
    allowed: Mapping[str, tuple[object, str]],
    values: str,
    binarization: str,
    streaming: bool,
    missing: bool,
) -> None:
    """Raises InputError for an option with another value than the allowed one."""
    given = {
        "values": values,
        "binarization": binarization,
        "streaming": streaming,
        "missing": missing,
    }
    for argument, (value, reason) in allowed.items():
        if given[argument] != value:
            raise InputError.of(argument, given[argument], f"{reason}; must be {value!r}")


def _digits(values: str) -> Mapping[str, Any]:
    """The 1,797 handwritten digits of 8x8 pixels in scikit-learn (UCI); a fifth is the test set."""
    table = _digits_table()
    images = table[:, :-1].reshape(-1, 8, 8)
    images = images if values == "counts" else images / 16
    return cut_test(images.astype(np.float32), table[:, -1].astype(np.int64))


def _digits_table(package: str = "sklearn") -> np.ndarray:
    """Pixels and label of each digit, [N, 65], without the slow import of scikit-learn."""
    table = _read_csv(package, "digits.csv.gz")
    if table is not None:
        return table
    from sklearn.datasets import load_digits  # the file has moved in this version

    bunch = load_digits()
    return np.column_stack([bunch.data, bunch.target])


def _breast_cancer(package: str = "sklearn") -> Mapping[str, Any]:
    """The 569 tumors of 30 measurements in scikit-learn (UCI); a fifth is the test set."""
    table = _read_csv(package, "breast_cancer.csv", skiprows=1)
    if table is None:
        from sklearn.datasets import load_breast_cancer  # the file has moved in this version

        bunch = load_breast_cancer()
        table = np.column_stack([bunch.data, bunch.target])
    return cut_test(table[:, :-1].astype(np.float32), table[:, -1].astype(np.int64))


def _read_csv(package: str, file: str, skiprows: int = 0) -> np.ndarray | None:
    """A table among the data of scikit-learn; None if the file is not there."""
    spec = importlib.util.find_spec(package)
    for folder in (spec and spec.submodule_search_locations) or ():
        path = os.path.join(folder, "datasets", "data", file)
        with contextlib.suppress(OSError, ValueError):
            return np.loadtxt(path, delimiter=",", skiprows=skiprows)
    return None


DESCRIPTIONS = {
    **{
        name: (function.__doc__ or "").partition("\n")[0]
        for name, function in (
            ("sprites", _sprites),
            ("digits", _digits),
            ("breast_cancer", _breast_cancer),
            ("penguins", _penguins),
            ("npz", read_path),
            ("table", _table),
            *TEXTS.items(),
        )
    },
    "any other": "An image data set of tensorflow-datasets, such as mnist or fashion_mnist.",
}
