"""The config of a run: dataclasses with every default, validation, and conversion to dictionaries.

Strings name parts, which `vae_jax.experiment.builders` makes.
"""

from vae_jax.config.evaluation import Evaluation
from vae_jax.config.fields import Config, Data, Optimizer, Sweep, Train
from vae_jax.config.metadata import AUTO, is_auto
from vae_jax.config.model import Codes, Hierarchy, ModelConfig
from vae_jax.config.objective import ObjectiveConfig
from vae_jax.config.rules import value_of
from vae_jax.config.tree import (
    check_field,
    check_same,
    describe_fields,
    differences,
    flatten,
    from_dict,
)

__all__ = [
    "AUTO",
    "Codes",
    "Config",
    "Data",
    "Evaluation",
    "Hierarchy",
    "ModelConfig",
    "ObjectiveConfig",
    "Optimizer",
    "Sweep",
    "Train",
    "check_field",
    "check_same",
    "describe_fields",
    "differences",
    "flatten",
    "from_dict",
    "is_auto",
    "value_of",
]
