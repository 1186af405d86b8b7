"""Attributes of parts that may be missing: a part may be any Flax module, from any library."""

import math
from typing import Any

REALS = (-math.inf, math.inf)

DEFAULTS: dict[str, Any] = {
    # likelihoods, see `vae_jax.likelihoods.Likelihood`
    "event_shape": None,
    "takes_lead": False,
    "support": REALS,
    "binary": False,
    "levels": 0,
    "integers": False,
    "positive": False,
    "shared_scale": None,
    "batch_scale": False,
    # priors, see `vae_jax.priors.Prior`
    "needs_encode": False,
    # conditionings, see `vae_jax.nets.OneHot` and `vae_jax.nets.SizeFactor`
    "num_classes": None,
    "has_size": False,
}


def read_attribute(part: Any, name: str) -> Any:
    """An attribute of a part of a model, or its default if the part, or None, lacks it."""
    return getattr(part, name, DEFAULTS[name])
