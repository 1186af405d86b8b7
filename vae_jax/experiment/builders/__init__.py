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
from vae_jax.experiment.builders.optimizer import build_optimizer

__all__ = [
    "CORRUPTIONS",
    "build_anomalies",
    "build_corruption",
    "build_data",
    "build_loss",
    "build_model",
    "build_optimizer",
    "build_post_update",
    "is_on",
]
