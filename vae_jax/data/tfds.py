"""Image data sets of tensorflow-datasets, read without TensorFlow if prepared as array_record."""

import contextlib
import importlib.util
import logging
import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import filelock
import numpy as np
import tensorflow_datasets as tfds

from vae_jax.data.splits import CUT_TEST_RULE, cut_test
from vae_jax.errors import Argument, InputError, suggest

logger = logging.getLogger(__name__)

ALLOWED_NAMES = "allowed are sprites, digits, npz, and the names of tensorflow-datasets"
CHUNK = 1000  # examples read at a time
PREFIX = "label_"
# The generative factors of these data sets, in the order of disentanglement_lib. That of smallnorb
# omits the instance, whose numbers mean another object in each category.
FACTORS = {
    "dsprites": ("shape", "scale", "orientation", "x_position", "y_position"),
    "shapes3d": ("floor_hue", "wall_hue", "object_hue", "scale", "shape", "orientation"),
    "smallnorb": ("category", "elevation", "azimuth", "lighting"),
}


def read_arrays(
    name: str, data_dir: str, *, streaming: bool = False
) -> tuple[Mapping[str, Any], str, tuple[str, ...]]:
    """Return arrays of images and labels, as for `from_arrays`, and what they are.

    The second is the origin of the test split. The third has the names of the generative factors,
    the columns of the labels of dsprites, shapes3d and smallnorb; other labels have none. With
    `streaming`, training images and labels stay in their files.

    A name is as in ``mnist`` or ``smallnorb/config``. A data set missing from `data_dir` is
    downloaded there if there is a network. Without a test split, the validation split is used, or
    else a fifth of the images.

    Raises:
      InputError: an unknown name, an unavailable data set, or images of different shapes.
    """
    builder = _builder(name, data_dir)
    if not builder.info.splits:
        builder = _download(builder, name, data_dir)
    features = builder.info.features
    if "image" not in features or None in features["image"].shape:
        raise InputError.of(
            "name",
            name,
            f"not images of one shape under the key 'image'; its features are {dict(features)}",
        )
    splits = set(builder.info.splits)
    test_split = next((split for split in ("test", "validation") if split in splits), None)
    if "train" not in splits:
        raise InputError.of("name", name, f"no split 'train'; it has {sorted(splits)}")
    if streaming and test_split is None:
        raise InputError.of(
            "name",
            name,
            f"can't be streamed, it has no split for test; it has {sorted(splits)}",
        )
    factor_names = _factor_names(builder)
    arrays: dict[str, Any] = (
        _records(builder, data_dir) if streaming else _read(builder, "train", "train", data_dir)
    )
    if test_split is None:
        cut = cut_test(arrays["train_images"], arrays.get("train_labels"))
        return cut, CUT_TEST_RULE, factor_names
    arrays |= _read(builder, test_split, "test", data_dir)
    if test_split == "test" and "validation" in splits:
        arrays |= _read(builder, "validation", "valid", data_dir)
    return arrays, f"the split {test_split!r} of the source", factor_names


def _builder(name: str, data_dir: str) -> tfds.core.DatasetBuilder:
    try:
        if tfds.core.naming.parse_builder_name_kwargs(name)[0].namespace:
            raise PermissionError("a namespace would run code from the network")
        return tfds.builder(name, data_dir=data_dir or None)
    except tfds.core.DatasetNotFoundError as error:
        names = ["sprites", "digits", "npz", *tfds.list_builders(with_community_datasets=False)]
        raise InputError.of(
            "name", name, f"unknown; {ALLOWED_NAMES}{suggest(name, names)}"
        ) from error
    except Exception as error:  # an invalid name, a missing module, a damaged dataset_info.json
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InputError.of(
            "name", name, f"tensorflow-datasets cannot open it: {reason}; {ALLOWED_NAMES}"
        ) from error


def _download(
    builder: tfds.core.DatasetBuilder, name: str, data_dir: str
) -> tfds.core.DatasetBuilder:
    """Download and prepare the data set; returns a builder that knows it.

    Of several processes in one folder the first prepares it, and the others wait for it.

    Raises InputError if that fails; at once, not after minutes of retries, if there is no network.
    """
    folder = data_dir or os.fspath(builder.data_path.parent.parent)
    where = f" = {folder!r}, "
    if not os.path.isdir(folder):
        where += "there is no such directory, "
    where += "and "
    advice = (
        "; set ",
        Argument("dir"),
        " to the directory that contains it, or use the embedded 'sprites' or 'digits'",
    )

    def failure(problem: str) -> InputError:
        return InputError.of("name", name, "not in ", Argument("dir"), where, problem, *advice)

    try:
        socket.getaddrinfo("storage.googleapis.com", 443)
    except OSError as error:
        raise failure("it cannot be downloaded, there is no network") from error
    try:
        with _lock(folder, builder.name):
            builder = _builder(name, data_dir)
            if not builder.info.splits:
                builder.download_and_prepare(file_format="array_record")
    except Exception as error:  # anything: no space, a moved file, a license to accept
        raise failure(f"its download failed: {error}") from error
    return builder


@contextlib.contextmanager
def _lock(folder: str, name: str) -> Iterator[None]:
    """Wait until no other process prepares this data set; at once on a file system without locks.

    The system releases the lock of a process that ends, however it ends.
    """
    os.makedirs(folder, exist_ok=True)
    lock = filelock.FileLock(os.path.join(folder, f".{name}.lock"), fallback_to_soft=False)
    try:
        lock.acquire()
    except OSError as error:
        logger.warning("%s cannot be locked (%s)", folder, error.strerror)
    try:
        yield
    finally:
        lock.release()


def _factor_names(builder: tfds.core.DatasetBuilder) -> tuple[str, ...]:
    """The names of the generative factors, or () if the data set has none."""
    names = FACTORS.get(builder.info.name, ())
    return names if all(PREFIX + name in builder.info.features for name in names) else ()


def _label_keys(builder: tfds.core.DatasetBuilder) -> tuple[str, ...]:
    """The features that are labels: all factors, or 'label' if it is one number."""
    factors = _factor_names(builder)
    if factors:
        return tuple(PREFIX + name for name in factors)
    features = builder.info.features
    return ("label",) if "label" in features and features["label"].shape == () else ()


def _join(row: Mapping[str, Any], keys: Sequence[str]) -> np.ndarray:
    """One label, or the column of each of several keys."""
    return np.asarray(row[keys[0]] if len(keys) == 1 else [row[key] for key in keys])


def _read(
    builder: tfds.core.DatasetBuilder, split: str, prefix: str, data_dir: str
) -> dict[str, np.ndarray]:
    """Read one split into arrays."""
    images, labels = [], []
    keys = _label_keys(builder)
    try:
        for row in _rows(builder, split, data_dir):
            images.append(row["image"])
            if keys:
                labels.append(_join(row, keys))
    except (RuntimeError, OSError, IndexError) as error:  # missing or damaged array_record files
        raise _unreadable(builder, data_dir, error) from error
    arrays = {f"{prefix}_images": np.stack(images)}
    return arrays | {f"{prefix}_labels": np.asarray(labels)} if labels else arrays


def _unreadable(builder: tfds.core.DatasetBuilder, data_dir: str, error: Exception) -> InputError:
    return InputError.of(
        "dir",
        data_dir,
        f"the records of {builder.info.full_name} cannot be read: {error}; prepare the data set "
        "again",
    )


class Records:
    """One feature of the records of a split, or several numbers as columns, read by index."""

    def __init__(self, source: Any, keys: Sequence[str], where: str) -> None:
        feature = source.dataset_info.features[keys[0]]
        columns = () if len(keys) == 1 else (len(keys),)
        self._source, self._keys, self._where = source, keys, where
        self.shape = (len(source), *columns, *feature.shape)
        self.dtype = np.dtype(feature.np_dtype)

    def __getitem__(self, index: np.ndarray) -> np.ndarray:
        try:
            rows = self._source.__getitems__(index.tolist())
            return np.stack([_join(row, self._keys) for row in rows])
        except (RuntimeError, OSError, IndexError, ValueError) as error:
            raise OSError(f"{self._where}: the records cannot be read: {error}") from error


def _records(builder: tfds.core.DatasetBuilder, data_dir: str) -> dict[str, Records]:
    """The training split, left in its files. Labels are read without decoding the images."""
    file_format = builder.info.file_format
    if file_format is None or file_format.value != "array_record":
        raise InputError.of(
            "dir", data_dir, "can't be streamed; the data set must be prepared as array_record"
        )
    where = f"{builder.info.full_name} in {data_dir!r}"
    try:
        source = builder.as_data_source(split="train")
        records = {"train_images": Records(source, ("image",), where)}
        keys = _label_keys(builder)
        if keys:
            only_labels = builder.as_data_source(
                split="train",
                decoders={
                    key: tfds.decode.SkipDecoding()
                    for key, feature in builder.info.features.items()
                    if isinstance(feature, tfds.features.Image)
                },
            )
            records["train_labels"] = Records(only_labels, keys, where)
        records["train_images"][np.zeros(1, np.int64)]
    except (RuntimeError, OSError, IndexError) as error:
        raise _unreadable(builder, data_dir, error) from error
    return records


def _rows(
    builder: tfds.core.DatasetBuilder, split: str, data_dir: str
) -> Iterator[Mapping[str, Any]]:
    """The examples, from the array_record data source, or through TensorFlow if installed."""
    file_format = builder.info.file_format
    if file_format is not None and file_format.value == "array_record":
        source = builder.as_data_source(split=split)
        for start in range(0, len(source), CHUNK):
            yield from source.__getitems__(range(start, min(start + CHUNK, len(source))))
    elif importlib.util.find_spec("tensorflow") is not None:
        yield from tfds.as_numpy(builder.as_dataset(split=split))
    else:
        name = builder.info.full_name.rsplit("/", 1)[0]
        stored = file_format.value if file_format else "unknown files"
        raise InputError.of(
            "dir",
            data_dir,
            f"holds {name!r} as {stored}, which only TensorFlow reads, and that is not installed; "
            "on a machine with a network, prepare it as array_record by "
            'python -c "import tensorflow_datasets as tfds; '
            f"tfds.builder('{name}', data_dir='DIR')"
            ".download_and_prepare(file_format='array_record')\", and set ",
            Argument("dir"),
            " to that DIR",
        )
