"""Metadata saved with a checkpoint."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from vae_jax import config as config_lib
from vae_jax.config import Config
from vae_jax.data import identity
from vae_jax.data.inputs import Inputs
from vae_jax.errors import InputError
from vae_jax.nets.units import Units


@dataclasses.dataclass(frozen=True)
class Description:
    """Metadata of a state: enough to rebuild its model, and a score."""

    config: Config
    event_shape: tuple[int, ...]
    score: float | None  # higher is better; None for a resume-only checkpoint
    score_name: str = "validation score of an earlier version"
    competes: bool = True  # False before the end of a schedule, or if the score is not finite
    data: Mapping[str, Any] | None = None  # their identity; None in checkpoints of earlier versions
    inputs: Inputs | None = None  # their form; None in checkpoints of earlier versions
    units: Units | None = None  # units of the model


def parse_description(values: Mapping[str, Any]) -> Description:
    """Parse the JSON of a description; raises KeyError, TypeError or ValueError if damaged."""
    score = None if values["score"] is None else float(values["score"])
    shape = tuple(values["event_shape"])
    sizes_are_valid = all(type(size) is int and 0 < size < 2**31 for size in shape)
    if not 0 < len(shape) <= 3 or not sizes_are_valid:
        raise ValueError(f"event_shape = {shape}")
    names = ("score_name", "competes", "data")
    later = {name: values[name] for name in names if name in values}
    if values.get("inputs") is not None:
        later["inputs"] = Inputs.from_json(values["inputs"])
    saved = Description(config_lib.from_dict(values["config"]), shape, score, **later)
    if type(saved.score_name) is not str or type(saved.competes) is not bool:
        raise ValueError(f"score_name = {saved.score_name!r}, competes = {saved.competes!r}")
    if values.get("units") is not None:
        saved = dataclasses.replace(saved, units=Units.from_json(values["units"]))
    if saved.data is not None and not isinstance(saved.data, Mapping):
        raise ValueError(f"data = {saved.data!r}")
    return saved


def check_same_data(
    now: Mapping[str, Any], units: Units | None, saved: Description, where: str
) -> None:
    """Raises InputError if data, or the units of a model, don't match a checkpoint.

    Args:
      now: the identity of the data.
      units: units of the model.
      saved: the description of the checkpoint.
      where: its directory.
    """
    identity.check_same_data(now, saved.data, where)
    same = units is None if saved.units is None else saved.units.is_close(units)
    if not same:
        raise InputError(
            f"{where}: was trained with {'other' if saved.units else 'no'} units of its columns "
            "(mean and standard deviation in the training split), by other data or an earlier "
            "version; use another workdir"
        )


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
