"""Build the score of a checkpoint from a config: the objective's own value on other examples."""

import dataclasses
import math
from collections.abc import Callable
from typing import TypeAlias

import jax.numpy as jnp

from vae_jax.config import Config, ObjectiveConfig
from vae_jax.experiment.builders.loss import build_loss, values_at
from vae_jax.experiment.builders.optimizer import prior_from
from vae_jax.models.base import Model
from vae_jax.types import Array, Batch, Params

Value: TypeAlias = Callable[[Params, Batch, Array, Array], Array]
"""(params, batch, key, step) -> the objective's value [], nats per example; higher is better."""

ELBO = "ELBO"


def build_value(config: Config, model: Model, num_examples: int) -> Value:
    """The negative loss of training, of the model's player alone.

    The score of `factor` omits the critic's loss, since a better critic is no better model. That of
    `m2` counts each labeled example with its label, and without, in the proportion of the training
    set.
    """
    loss_fn = build_loss(config, model, num_examples)
    num_labels = config.data.num_labels

    def value(params: Params, batch: Batch, key: Array, step: Array) -> Array:
        loss, metrics = loss_fn(params, batch, key, step)
        return metrics.get("critic_loss", 0.0) - loss

    def labeled_and_unlabeled(params: Params, batch: Batch, key: Array, step: Array) -> Array:
        share = num_labels / num_examples
        unlabeled = {**batch, "y": jnp.full_like(batch["y"], -1)}
        parts = (value(params, rows, key, step) for rows in (batch, unlabeled))
        return share * next(parts) + (1 - share) * next(parts)

    return labeled_and_unlabeled if num_labels else value


def is_elbo(config: Config) -> bool:
    """True if the objective, with its schedules at their final values, is the plain ELBO.

    It is if `elbo` is given nothing but the defaults of its fields.
    """
    c = config.objective
    if c.name != "elbo" or c.corruption != "none":
        return False
    return all(
        value is None or math.isclose(value, getattr(ObjectiveConfig, name), rel_tol=1e-6)
        for name, value in values_at(c, _last_step(config)).items()
    )


def name_score(config: Config, step: int) -> str:
    """The name of the score of a checkpoint at `step`; only scores of one name are comparable."""
    if is_elbo(config):
        return ELBO
    name = f"negative loss of {config.objective.name!r}"
    if config.objective.name == "factor":
        name += " without the critic's"
    if config.data.num_labels:
        name += " with and without labels"
    if prior_from(config) is not None:
        name += " in the phase of the " + ("prior" if is_last_phase(config, step) else "model")
    return name


def is_last_phase(config: Config, step: int) -> bool:
    """False for a checkpoint at `step` whose training continues with the prior of codes alone."""
    start = prior_from(config)
    return start is None or step > start


def final_step(config: Config, step: int) -> int:
    """The step whose loss has all schedules at their final values, in the phase of `step`."""
    if not is_last_phase(config, step):
        return config.train.num_steps - config.codes.prior_steps - 1
    return _last_step(config)


def _last_step(config: Config) -> int:
    return max(config.train.num_steps, schedules_end(config))


def schedules_end(config: Config) -> int:
    """The first step at which all schedules of the objective have their final values."""
    c = config.objective
    lengths = (entry for entry in dataclasses.fields(c) if entry.metadata["ends_schedule"])
    used = (length.name for length in lengths if length.metadata["used_by"].holds(config))
    return max((getattr(c, name) for name in used), default=0)
