"""Image sets of tensorflow-datasets, read without TensorFlow wherever they are prepared as array_record."""

import importlib.util
import os
import socket
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from vae_jax.data.prepare import CUT_TEST_RULE, cut_test
from vae_jax.errors import InputError, suggest

EMBEDDED_HINT = "the embedded sets 'sprites' and 'digits' need no files"
CHUNK = 1000  # examples read at a time


def read_arrays(
    name: str, data_dir: str, *, streaming: bool = False
) -> tuple[Mapping[str, Any], str]:
    """All images and labels of the set `name`, as `from_arrays` takes them, and where its test split comes from.

    Those of train stay in their files when `streaming`.

    A name is as in ``mnist`` or ``smallnorb/config``. The set is looked for in `data_dir`, and downloaded there when it is
    absent and there is a network. A set without a test split gives its validation split, or else a fifth of its images.

    Raises:
      InputError: an unknown name, a set that is not there and cannot be had, or one that is not of images of one shape.
    """
    builder = _builder(name, data_dir)
    if not builder.info.splits:
        _download(builder, name, data_dir)
    features = builder.info.features
    if "image" not in features or None in features["image"].shape:
        raise InputError(
            f"config.data.name = {name!r}: not images of one shape under the key 'image'; its features are {dict(features)}"
        )
    splits = set(builder.info.splits)
    test_split = next((split for split in ("test", "validation") if split in splits), None)
    if "train" not in splits:
        raise InputError(f"config.data.name = {name!r}: no split 'train'; it has {sorted(splits)}")
    if streaming and test_split is None:
        raise InputError(
            f"config.data.name = {name!r}: can't be streamed, it has no split for test; it has {sorted(splits)}"
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
            raise PermissionError(
                "sets of a namespace come with code from the network, which would be run"
            )
        return tfds.builder(name, data_dir=data_dir or None)
    except tfds.core.DatasetNotFoundError as error:
        known = ["sprites", "digits", "npz", *tfds.list_builders(with_community_datasets=False)]
        raise InputError(
            f"config.data.name = {name!r}: unknown; allowed are sprites, digits, npz, and the names of tensorflow-datasets"
            f"{suggest(name, known)}"
        ) from error
    except (
        Exception
    ) as error:  # a name that does not parse, a module that is missing, a damaged dataset_info.json
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InputError(
            f"config.data.name = {name!r}: tensorflow-datasets cannot open it: {reason}; allowed are sprites, digits, npz, and "
            "the names of tensorflow-datasets"
        ) from error


def _download(builder: tfds.core.DatasetBuilder, name: str, data_dir: str) -> None:
    """Prepares the set in its directory, or says why not; without a network at once, not after minutes of retries."""
    folder = data_dir or os.fspath(builder.data_path.parent.parent)
    where = f"not in config.data.dir = {folder!r}" + (
        "" if os.path.isdir(folder) else ", there is no such directory"
    )
    ways = f"give a directory that holds it with --config.data.dir=DIR, or take another set: {EMBEDDED_HINT}"
    try:
        socket.getaddrinfo("storage.googleapis.com", 443)
    except OSError as error:
        raise InputError(
            f"config.data.name = {name!r}: {where}, and it cannot be downloaded, there is no network; {ways}"
        ) from error
    try:
        builder.download_and_prepare(file_format="array_record")
    except (
        Exception
    ) as error:  # a builder may raise anything: no space, a moved file, a licence to accept
        raise InputError(
            f"config.data.name = {name!r}: {where}, and its download failed: {error}; {ways}"
        ) from error


def _read(
    builder: tfds.core.DatasetBuilder, split: str, prefix: str, data_dir: str
) -> dict[str, np.ndarray]:
    """One split as arrays."""
    images, labels = [], []
    try:
        for row in _rows(builder, split, data_dir):
            images.append(row["image"])
            if np.ndim(row.get("label", ())) == 0 and "label" in row:
                labels.append(row["label"])
    except (
        RuntimeError,
        OSError,
        IndexError,
    ) as error:  # what array_record says to missing and to damaged files
        raise InputError(
            f"config.data.dir = {data_dir!r}: the records of {builder.info.full_name} cannot be read: {error}; prepare the set "
            "again"
        ) from error
    arrays = {f"{prefix}_images": np.stack(images)}
    return arrays | {f"{prefix}_labels": np.asarray(labels)} if labels else arrays


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
    """The training split where it is. Labels are read by themselves, from records whose images stay undecoded."""
    file_format = builder.info.file_format
    if file_format is None or file_format.value != "array_record":
        raise InputError(
            f"config.data.dir = {data_dir!r}: only a set that is prepared as array_record can be streamed"
        )
    where = f"config.data.dir = {data_dir!r}, {builder.info.full_name}"
    try:
        records = {"train_images": Records(builder.as_data_source(split="train"), "image", where)}
        if "label" in builder.info.features and builder.info.features["label"].shape == ():
            only_labels = builder.as_data_source(
                split="train", decoders={"image": tfds.decode.SkipDecoding()}
            )
            records["train_labels"] = Records(only_labels, "label", where)
        records["train_images"][np.zeros(1, np.int64)]
    except (RuntimeError, OSError, IndexError) as error:
        raise InputError(
            f"{where}: the records cannot be read: {error}; prepare the set again"
        ) from error
    return records


def _rows(
    builder: tfds.core.DatasetBuilder, split: str, data_dir: str
) -> Iterator[Mapping[str, Any]]:
    """The examples; an array_record set through its data source, any other through TensorFlow if that is there."""
    file_format = builder.info.file_format
    if file_format is not None and file_format.value == "array_record":
        source = builder.as_data_source(split=split)
        for start in range(0, len(source), CHUNK):
            yield from source.__getitems__(range(start, min(start + CHUNK, len(source))))
    elif importlib.util.find_spec("tensorflow") is not None:
        yield from tfds.as_numpy(builder.as_dataset(split=split))
    else:
        name = builder.info.full_name.rsplit("/", 1)[0]
        raise InputError(
            f"config.data.dir = {data_dir!r}: holds {name!r} as {file_format.value if file_format else 'unknown files'}, which "
            "only TensorFlow reads, and that is not installed; prepare it as array_record, where there is a network, with "
            f"python -c \"import tensorflow_datasets as tfds; tfds.builder('{name}', data_dir='DIR')"
            ".download_and_prepare(file_format='array_record')\", and give that DIR"
        )
