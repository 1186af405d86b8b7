"""The config of a run: dataclasses with every default, and their way to dictionaries and back.

Strings name parts; `vae_jax.experiment.builders` turns them into the parts and is the only place that does. `vae_jax.config.validation` says which
values can't be meant.
"""

from vae_jax.config.fields import (
    Codes,
    Config,
    Data,
    Evaluation,
    Hierarchy,
    Model,
    Objective,
    Optimizer,
    Sweep,
    Train,
)
from vae_jax.config.tree import (
    check_field,
    check_same,
    check_types,
    differences,
    flatten,
    from_dict,
    value_of,
)

__all__ = [
    "Codes",
    "Config",
    "Data",
    "Evaluation",
    "Hierarchy",
    "Model",
    "Objective",
    "Optimizer",
    "Sweep",
    "Train",
    "check_field",
    "check_same",
    "check_types",
    "differences",
    "flatten",
    "from_dict",
    "value_of",
]
