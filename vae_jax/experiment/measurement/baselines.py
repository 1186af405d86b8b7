"""The trivial baseline of a run: fitted once for a data set and a likelihood."""

import weakref
from typing import Any

from vae_jax.data import Dataset
from vae_jax.evaluation import Baseline, BaselineScores, NGrams, fit_baseline

# Shared by the trials of a sweep, for as long as the data are in memory.
_baselines: weakref.WeakKeyDictionary[Dataset, dict[Any, Baseline | NGrams]]
_baselines = weakref.WeakKeyDictionary()
_scores: weakref.WeakKeyDictionary[Dataset, dict[Any, BaselineScores]]
_scores = weakref.WeakKeyDictionary()


def score_baseline(dataset: Dataset, likelihood: Any, split: str) -> BaselineScores:
    """Score the baseline of a likelihood on every example of a split."""
    baselines = _baselines.setdefault(dataset, {})
    scores = _scores.setdefault(dataset, {})
    if likelihood not in baselines:
        baselines[likelihood] = fit_baseline(likelihood, dataset.train)
    if (likelihood, split) not in scores:
        scores[likelihood, split] = baselines[likelihood].score(getattr(dataset, split))
    return scores[likelihood, split]
