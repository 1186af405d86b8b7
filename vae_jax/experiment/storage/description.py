"""Metadata saved with a checkpoint."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from vae_jax import config as config_lib
from vae_jax.config import Config


@dataclasses.dataclass(frozen=True)
class Description:
    """Metadata of a state: enough to rebuild its model, and a score."""

    config: Config
    event_shape: tuple[int, ...]
    score: float | None  # higher is better; None for a resume-only checkpoint
    score_name: str = "validation score of an earlier version"
    competes: bool = True  # False before the end of a schedule, or if the score is not finite
    data: Mapping[str, Any] | None = None  # their identity; None in checkpoints of earlier versions


def parse_description(values: Mapping[str, Any]) -> Description:
    """Parse the JSON of a description; raises KeyError, TypeError or ValueError if damaged."""
    score = None if values["score"] is None else float(values["score"])
    shape = tuple(values["event_shape"])
    sizes_are_valid = all(type(size) is int and 0 < size < 2**31 for size in shape)
    if not 0 < len(shape) <= 3 or not sizes_are_valid:
        raise ValueError(f"event_shape = {shape}")
    names = ("score_name", "competes", "data")
    later = {name: values[name] for name in names if name in values}
    saved = Description(config_lib.from_dict(values["config"]), shape, score, **later)
    if type(saved.score_name) is not str or type(saved.competes) is not bool:
        raise ValueError(f"score_name = {saved.score_name!r}, competes = {saved.competes!r}")
    if saved.data is not None and not isinstance(saved.data, Mapping):
        raise ValueError(f"data = {saved.data!r}")
    return saved


def best_step(descriptions: Mapping[int, Description]) -> int | None:
    """The step of the best score of those that compete, the earlier of equals; None if none does.

    If the score changes its meaning during the run, only the latest meaning counts.
    """
    scores = {
        step: saved.score
        for step, saved in descriptions.items()
        if saved.score is not None and saved.competes
    }
    if not scores:
        return None
    name = descriptions[max(scores)].score_name
    rivals = [step for step in scores if descriptions[step].score_name == name]
    return max(rivals, key=lambda step: (scores[step], -step))
