"""Entries of all splits that are hidden on purpose, with their true values."""

import dataclasses
from typing import Any, NamedTuple

import numpy as np

from vae_jax.data.identity import hash_arrays
from vae_jax.data.missing_splits import summarize
from vae_jax.data.sources import ArraySource, Dataset
from vae_jax.data.splits import SPLITS
from vae_jax.errors import Argument, InputError


class Hidden(NamedTuple):
    """Hidden entries of a split."""

    x: np.ndarray  # [N, *E] float32, true values; 0 where they are unknown
    mask: np.ndarray  # [N, *E], True at hidden entries


def hide_entries(dataset: Dataset, share: float, seed: int = 0) -> Dataset:
    """The data set with observed entries of every split hidden, completely at random.

    Each observed entry is hidden with the probability `share`, but never all of a row. The model
    sees zeros there, in training too. Their values are kept in `Dataset.hidden`, for the metric
    `imputation`; standard deviations of the data and everything else are of the remaining ones.

    Raises:
      InputError: the data are streamed, rendered, or binarized anew at each reading.
    """
    rng = np.random.default_rng(seed)
    splits: dict[str, Any] = {}
    hidden = {}
    for split in SPLITS:
        source = getattr(dataset, split)
        if not isinstance(source, ArraySource) or source.dynamic:
            raise InputError(
                Argument("hide"),
                f" = {share}: needs examples in memory that are the same at each reading; use "
                "other data, without streaming or dynamic binarization",
            )
        images = np.asarray(source.images)
        observed = np.ones(images.shape, bool)
        if source.observed is not None:
            observed = np.asarray(source.observed)
        mask = choose_hidden(rng, observed, share)
        hidden[split] = Hidden(np.where(observed, images * np.float32(source.scale), 0), mask)
        splits[split] = dataclasses.replace(
            source,
            images=np.where(mask, np.zeros((), images.dtype), images),
            observed=observed & ~mask,
        )
    test = splits["test"]
    preparation = dataset.preparation | {
        "hidden": share,
        "missing": summarize({name: s.observed for name, s in splits.items()}, dataset.name),
        "test_sha256": hash_arrays(test.images, test.observed),
    }
    return dataclasses.replace(dataset, **splits, hidden=hidden, preparation=preparation)


def choose_hidden(rng: np.random.Generator, observed: np.ndarray, share: float) -> np.ndarray:
    """Entries to hide, [N, *E]: each observed one with a probability, but never all of a row.

    If all observed entries of a row were drawn, one at random stays.
    """
    u = np.where(observed, rng.random(observed.shape), -1.0)
    # The largest u is above the share unless all are drawn; then it is the one that stays.
    largest = u.max(axis=tuple(range(1, u.ndim)), keepdims=True)
    return observed & (u < share) & (u < largest)
