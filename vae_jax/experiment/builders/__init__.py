"""Build the parts of a run from its config. Only here does a name become a part: by tables."""

from vae_jax.experiment.builders.data import build_anomalies, build_data
from vae_jax.experiment.builders.lookup import is_on
from vae_jax.experiment.builders.loss import (
    CORRUPTIONS,
    build_corruption,
    build_loss,
    build_post_update,
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

__all__ = [
    "CORRUPTIONS",
    "build_anomalies",
    "build_corruption",
    "build_data",
    "build_loss",
    "build_model",
    "build_optimizer",
    "build_post_update",
    "build_value",
    "final_learning_rate",
    "final_step",
    "is_elbo",
    "is_last_phase",
    "is_on",
    "name_score",
    "schedules_end",
]
