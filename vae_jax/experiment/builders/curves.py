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
    differences = {
        "with the KL of y": c.name == "m2",
        "with token dropout": c.token_dropout > 0,
        "from corrupted inputs": c.corruption != "none",
    }
    reasons = [reason for reason, applies in differences.items() if applies]
    names = {"train": ", ".join(["training", *reasons])} if reasons else {}
    return names | ({"valid": "validation, given y"} if c.name == "m2" else {})
