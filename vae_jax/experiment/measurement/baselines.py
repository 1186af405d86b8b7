"""The trivial baseline of a run: fitted once for a data set and a likelihood."""

import dataclasses
import functools
import weakref
from typing import Any

from vae_jax.data import Dataset
from vae_jax.evaluation import Baseline, BaselineScores, fit_baseline


@dataclasses.dataclass(frozen=True, eq=False)
class _Identity:
    """A data set as a key, equal only to itself; it does not keep the data in memory."""

    dataset: weakref.ref
    number: int  # its id

    def __hash__(self) -> int:
        return self.number

    def __eq__(self, other: object) -> bool:
        dataset = self.dataset()
        return isinstance(other, _Identity) and dataset is not None and dataset is other.dataset()


def score_baseline(dataset: Dataset, likelihood: Any, split: str) -> BaselineScores:
    """Score the baseline of a likelihood on every example of a split."""
    return _score(_Identity(weakref.ref(dataset), id(dataset)), likelihood, split)


@functools.lru_cache(maxsize=8)  # shared by the trials of a sweep
def _score(key: _Identity, likelihood: Any, split: str) -> BaselineScores:
    dataset = key.dataset()
    assert dataset is not None, "the caller has it"
    return _fit(key, likelihood).score(getattr(dataset, split))


@functools.lru_cache(maxsize=4)
def _fit(key: _Identity, likelihood: Any) -> Baseline:
    dataset = key.dataset()
    assert dataset is not None, "the caller has it"
    return fit_baseline(likelihood, dataset.train)
