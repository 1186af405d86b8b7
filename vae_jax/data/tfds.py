"""Image data sets of tensorflow-datasets, read without TensorFlow if prepared as array_record."""

import importlib.util
import os
import socket
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from vae_jax.data.splits import CUT_TEST_RULE, cut_test
from vae_jax.errors import InputError, suggest

ALLOWED_NAMES = "allowed are sprites, digits, npz, and the names of tensorflow-datasets"
CHUNK = 1000  # examples read at a time


def read_arrays(
    name: str, data_dir: str, *, streaming: bool = False
) -> tuple[Mapping[str, Any], str]:
    """Return arrays of images and labels, as for `from_arrays`, and the origin of the test split.

    With `streaming`, training images and labels stay in their files.

    A name is as in ``mnist`` or ``smallnorb/config``. A data set missing from `data_dir` is
    downloaded there if there is a network. Without a test split, the validation split is used, or
    else a fifth of the images.

    Raises:
      InputError: an unknown name, an unavailable data set, or images of different shapes.
    """
    builder = _builder(name, data_dir)
    if not builder.info.splits:
        _download(builder, name, data_dir)
    features = builder.info.features
    if "image" not in features or None in features["image"].shape:
        raise InputError(
            f"name = {name!r}: not images of one shape under the key 'image'; "
            f"its features are {dict(features)}"
        )
    splits = set(builder.info.splits)
    test_split = next((split for split in ("test", "validation") if split in splits), None)
    if "train" not in splits:
        raise InputError(f"name = {name!r}: no split 'train'; it has {sorted(splits)}")
    if streaming and test_split is None:
        raise InputError(
            f"name = {name!r}: can't be streamed, it has no split for test; it has {sorted(splits)}"
        )
    arrays = (
        _records(builder, data_dir) if streaming else _read(builder, "train", "train", data_dir)
    )
    if test_split is None:
        return cut_test(arrays["train_images"], arrays.get("train_labels")), CUT_TEST_RULE
    arrays |= _read(builder, test_split, "test", data_dir)
    if test_split == "test" and "validation" in splits:
        arrays |= _read(builder, "validation", "valid", data_dir)
    return arrays, f"the split {test_split!r} of the source"


def _builder(name: str, data_dir: str) -> tfds.core.DatasetBuilder:
    try:
        if tfds.core.naming.parse_builder_name_kwargs(name)[0].namespace:
            raise PermissionError("a namespace would run code from the network")
        return tfds.builder(name, data_dir=data_dir or None)
    except tfds.core.DatasetNotFoundError as error:
        names = ["sprites", "digits", "npz", *tfds.list_builders(with_community_datasets=False)]
        raise InputError(
            f"name = {name!r}: unknown; {ALLOWED_NAMES}{suggest(name, names)}"
        ) from error
    except Exception as error:  # an invalid name, a missing module, a damaged dataset_info.json
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InputError(
            f"name = {name!r}: tensorflow-datasets cannot open it: {reason}; {ALLOWED_NAMES}"
        ) from error


def _download(builder: tfds.core.DatasetBuilder, name: str, data_dir: str) -> None:
    """Download and prepare the data set.

    Raises InputError if that fails; at once, not after minutes of retries, if there is no network.
    """
    folder = data_dir or os.fspath(builder.data_path.parent.parent)
    where = f"not in dir = {folder!r}"
    if not os.path.isdir(folder):
        where += ", there is no such directory"
    advice = "set dir to the directory that contains it, or use the embedded 'sprites' or 'digits'"
    try:
        socket.getaddrinfo("storage.googleapis.com", 443)
    except OSError as error:
        raise InputError(
            f"name = {name!r}: {where}, and it cannot be downloaded, there is no network; {advice}"
        ) from error
    try:
        builder.download_and_prepare(file_format="array_record")
    except Exception as error:  # anything: no space, a moved file, a license to accept
        raise InputError(
            f"name = {name!r}: {where}, and its download failed: {error}; {advice}"
        ) from error


def _read(
    builder: tfds.core.DatasetBuilder, split: str, prefix: str, data_dir: str
) -> dict[str, np.ndarray]:
    """Read one split into arrays."""
    images, labels = [], []
    try:
        for row in _rows(builder, split, data_dir):
            images.append(row["image"])
            if np.ndim(row.get("label", ())) == 0 and "label" in row:
                labels.append(row["label"])
    except (RuntimeError, OSError, IndexError) as error:  # missing or damaged array_record files
        raise _unreadable(builder, data_dir, error) from error
    arrays = {f"{prefix}_images": np.stack(images)}
    return arrays | {f"{prefix}_labels": np.asarray(labels)} if labels else arrays


def _unreadable(builder: tfds.core.DatasetBuilder, data_dir: str, error: Exception) -> InputError:
    return InputError(
        f"dir = {data_dir!r}: the records of {builder.info.full_name} cannot be read: {error}; "
        "prepare the data set again"
    )


class Records:
    """One feature of the records of a split, read by index."""

    def __init__(self, source: Any, key: str, where: str) -> None:
        feature = source.dataset_info.features[key]
        self._source, self._key, self._where = source, key, where
        self.shape, self.dtype = (len(source), *feature.shape), np.dtype(feature.np_dtype)

    def __getitem__(self, index: np.ndarray) -> np.ndarray:
        try:
            return np.stack([row[self._key] for row in self._source.__getitems__(index.tolist())])
        except (RuntimeError, OSError, IndexError, ValueError) as error:
            raise OSError(f"{self._where}: the records cannot be read: {error}") from error


def _records(builder: tfds.core.DatasetBuilder, data_dir: str) -> dict[str, Records]:
    """The training split, left in its files. Labels are read without decoding the images."""
    file_format = builder.info.file_format
    if file_format is None or file_format.value != "array_record":
        raise InputError(
            f"dir = {data_dir!r}: can't be streamed; the data set must be prepared as array_record"
        )
    where = f"dir = {data_dir!r}, {builder.info.full_name}"
    try:
        records = {"train_images": Records(builder.as_data_source(split="train"), "image", where)}
        if "label" in builder.info.features and builder.info.features["label"].shape == ():
            only_labels = builder.as_data_source(
                split="train", decoders={"image": tfds.decode.SkipDecoding()}
            )
            records["train_labels"] = Records(only_labels, "label", where)
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
        raise InputError(
            f"dir = {data_dir!r}: holds {name!r} as {stored}, which only TensorFlow reads, "
            "and that is not installed; on a machine with a network, prepare it as array_record by "
            'python -c "import tensorflow_datasets as tfds; '
            f"tfds.builder('{name}', data_dir='DIR')"
            ".download_and_prepare(file_format='array_record')\", and set dir to that DIR"
        )
