"""What the learning curves of a config must say, where training and validation differ."""

from typing import Any

from vae_jax.config import Config
from vae_jax.experiment.builders.optimizer import prior_from


def describe_curves(config: Config) -> dict[str, Any]:
    """The keywords of `visualize.learning_curves`: names of both splits, and phases."""
    start = prior_from(config)
    phases = {} if start is None else {"only the prior from here on": start}
    return {"splits": _name_splits(config), "phases": phases}


def _name_splits(config: Config) -> dict[str, str]:
    """Names of curves that are not of the same quantity; empty if they are."""
    c = config.objective
    if c.name == "m2":
        return {"train": "training, with the KL of y", "valid": "validation, given y"}
    if c.token_dropout:
        return {"train": "training, with token dropout"}
    if c.corruption != "none":
        return {"train": "training, from corrupted inputs"}
    return {}
