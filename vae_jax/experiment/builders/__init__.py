"""Build the parts of a run from its config. Only here does a name become a part: by tables."""

from vae_jax.experiment.builders.auto import describe_choices, resolve, resolve_binarization
from vae_jax.experiment.builders.curves import describe_curves
from vae_jax.experiment.builders.data import build_anomalies, build_data, build_examples
from vae_jax.experiment.builders.lookup import is_on
from vae_jax.experiment.builders.loss import (
    CORRUPTIONS,
    build_corruption,
    build_loss,
    build_post_update,
    make_corruption,
)
from vae_jax.experiment.builders.model import build_model
from vae_jax.experiment.builders.optimizer import build_optimizer, final_learning_rate
from vae_jax.experiment.builders.score import (
    build_value,
    final_step,
    is_elbo,
    is_last_phase,
    name_score,
    schedules_end,
)
from vae_jax.experiment.builders.text_compatibility import find_unused_widths
from vae_jax.experiment.builders.units import build_units, describe_units

__all__ = [
    "CORRUPTIONS",
    "build_anomalies",
    "build_corruption",
    "build_data",
    "build_examples",
    "build_loss",
    "build_model",
    "build_optimizer",
    "build_post_update",
    "build_units",
    "build_value",
    "describe_choices",
    "describe_curves",
    "describe_units",
    "final_learning_rate",
    "final_step",
    "find_unused_widths",
    "is_elbo",
    "is_last_phase",
    "is_on",
    "make_corruption",
    "name_score",
    "resolve",
    "resolve_binarization",
    "schedules_end",
]
