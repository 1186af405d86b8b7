"""The identity of a data set: described shape, sizes, range of each split, and a hash."""

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from vae_jax.data.images import describe_shape
from vae_jax.data.rows import HostRows
from vae_jax.data.sources import Dataset
from vae_jax.data.splits import distinct_splits
from vae_jax.errors import InputError

HASHED_BYTES = 2**28  # limit; above it, evenly spaced examples are hashed


def describe_identity(
    splits: Mapping[str, np.ndarray | HostRows],
    labels: Mapping[str, np.ndarray | HostRows | None],
    ranges: Mapping[str, tuple[float, float]],
    observed: Mapping[str, np.ndarray | HostRows],
) -> dict[str, Any]:
    """Entries of `Dataset.preparation`: `shape`, `ranges` and `sha256` of images and labels.

    Args:
      splits: stored images [N, *E], before binarization.
      labels: labels of each split.
      ranges: lowest and highest value of each split, in the values of the model.
      observed: observed entries [N, *E] of each split; empty if no value is missing.
    """
    digest = hashlib.sha256()
    for split, images in splits.items():
        for rows in (images, labels[split]):
            _update(digest, rows)
        if split in observed:
            _update(digest, observed[split])
    return {
        "shape": describe_shape(tuple(splits["train"].shape[1:])),
        "ranges": {split: list(values) for split, values in ranges.items()},
        "sha256": digest.hexdigest(),
    }


def hash_arrays(images: np.ndarray, observed: np.ndarray | None = None) -> str:
    """The SHA-256, hexadecimal, of images [N, *E] and, if some are missing, of their mask."""
    digest = hashlib.sha256(np.ascontiguousarray(images).tobytes())
    if observed is not None:
        digest.update(np.ascontiguousarray(observed).tobytes())
    return digest.hexdigest()


def _update(digest: Any, rows: np.ndarray | HostRows | None) -> None:
    """Add an array to the hash: shape, dtype, and its rows, evenly spaced if it is large.

    The bytes are the same for rows in memory and on disk.
    """
    if rows is None:
        digest.update(b"none")
        return
    digest.update(f"{tuple(rows.shape)} {rows.dtype.str}".encode())
    row_bytes = max(1, int(np.prod(rows.shape[1:])) * rows.dtype.itemsize)
    count = min(len(rows), max(1, HASHED_BYTES // row_bytes))
    index = np.linspace(0, len(rows) - 1, count).astype(np.int64)
    step = max(1, 2**24 // row_bytes)
    for start in range(0, count, step):
        digest.update(np.ascontiguousarray(rows[index[start : start + step]]).tobytes())


def describe_data(preparation: Mapping[str, Any]) -> str:
    """Shape and ranges in one phrase: 'images of 8x8 with 1 channel, train 0 to 1, test 0 to 1'.

    The ranges of token numbers say nothing and are omitted, and so is a test set that is a copy.
    """
    splits = distinct_splits(preparation)
    ranges = {} if preparation.get("text") else preparation.get("ranges", {})
    parts = [
        f"{split} {low:.4g} to {high:.4g}"
        for split, (low, high) in ranges.items()
        if split in splits
    ]
    missing = preparation.get("missing", {})
    if any(missing.values()):
        shares = [f"{split} {share:.3g}" for split, share in missing.items() if split in splits]
        parts.append(f"missing share {' '.join(shares)}")
    digest = preparation.get("sha256", "")
    parts += [f"sha256 {digest[:12]}"] if digest else []
    return ", ".join([preparation.get("shape", ""), *parts])


def data_identity(dataset: Dataset) -> dict[str, Any]:
    """Properties that identify a data set: name, shape, sizes, ranges, missing share and hash.

    Stored with the checkpoints of a model. A test set that is a copy of validation is omitted.
    """
    splits = distinct_splits(dataset.preparation)
    sizes = {f"num_{split}": getattr(dataset, split).num_examples for split in splits}
    keys = ("shape", "ranges", "missing", "sha256")
    entries = {key: dataset.preparation[key] for key in keys if key in dataset.preparation}
    for key in {"ranges", "missing"} & entries.keys():
        entries[key] = {split: value for split, value in entries[key].items() if split in splits}
    return {"name": dataset.name, **sizes, **entries}


def check_same_data(now: Mapping[str, Any], saved: Mapping[str, Any] | None, where: str) -> None:
    """Raises InputError if the identity of the data is not that saved with a checkpoint.

    Without a saved one, as in checkpoints of earlier versions, nothing is checked. The name may
    differ, for a file may be moved.
    """
    if not saved or ("sha256" in now and saved.get("sha256") == now["sha256"]):
        return
    differing = [
        f"{key} {saved[key]} there, {now[key]} now"
        for key in now
        if key in saved and key not in ("name", "sha256") and saved[key] != now[key]
    ]
    if differing or saved.get("sha256", now.get("sha256")) != now.get("sha256"):
        difference = "; ".join(differing) or "values differ, by their sha256"
        raise InputError(
            f"{where}: was trained on other data than {now['name']} holds now: {difference}; put "
            "the "
            "data back, or use another workdir"
        )
