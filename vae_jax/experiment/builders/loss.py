"""Build the loss function and the post-update from a config."""

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax.numpy as jnp

from vae_jax import corruptions, objectives, schedules
from vae_jax.config import Config, ObjectiveConfig
from vae_jax.corruptions import Corruption
from vae_jax.experiment.builders.lookup import is_on, pick, value_or_none
from vae_jax.experiment.builders.optimizer import prior_from
from vae_jax.models.base import Model
from vae_jax.nets.units import Units
from vae_jax.objectives.loss import Forward, at_step
from vae_jax.types import Array, LossFn, Metrics, Outputs, PostUpdate, Scalar, Schedule

CORRUPTIONS: dict[str, Callable[[float], Corruption | None]] = {
    "none": lambda level: None,
    "gaussian": corruptions.gaussian_noise,
    "masking": corruptions.masking,
    "salt_and_pepper": corruptions.salt_and_pepper,
}
BETAS: dict[str, Callable[[ObjectiveConfig], Schedule]] = {
    "constant": lambda c: schedules.constant(c.beta),
    "linear": lambda c: schedules.linear(c.beta_start, c.beta, c.beta_steps),
    "sigmoid": lambda c: schedules.sigmoid(c.beta_start, c.beta, c.beta_steps),
    "cyclical": lambda c: schedules.cyclical(
        c.beta_start, c.beta, c.beta_steps, num_cycles=c.beta_cycles
    ),
}
KERNELS = objectives.mmd.KERNELS


class Entry(NamedTuple):
    """An objective, the forward pass it needs, and where its hyper-parameters come from.

    A keyword of the objective with the name of a field of config.objective is read from that field.
    """

    objective: Callable[..., tuple[Array, Metrics]]
    forward: Forward = objectives.single_pass
    needs_key: bool = False
    fields: Mapping[str, str] = {}  # keyword -> field, if their names differ
    constants: Mapping[str, Any] = {}  # keyword -> value


def _dip(
    outputs: Outputs, *, dip_kind: int, off_diagonal_weight: Scalar, diagonal_weight: Scalar
) -> tuple[Array, Metrics]:
    """DIP-VAE-I or II, by `dip_kind` (Kumar et al., 2018, arXiv:1711.00848)."""
    objective = {1: objectives.dip_i, 2: objectives.dip_ii}[dip_kind]
    weight = objectives.paper_diagonal_weight(dip_kind, off_diagonal_weight)
    if is_on(diagonal_weight):  # some trials of a sweep may have the paper's
        weight = jnp.where(diagonal_weight > 0, diagonal_weight, weight)
    return objective(outputs, off_diagonal_weight=off_diagonal_weight, diagonal_weight=weight)


SCALES = {"scales": objectives.mmd.SCALES}
OBJECTIVES: dict[str, Entry] = {
    "elbo": Entry(objectives.elbo),
    "reconstruction": Entry(objectives.reconstruction),
    "iwae": Entry(objectives.iwae),
    "stl": Entry(objectives.stl),
    "dreg": Entry(objectives.dreg, objectives.two_player_pass),
    "miwae": Entry(objectives.miwae, fields={"groups": "num_groups"}),
    "piwae": Entry(objectives.piwae, objectives.two_player_pass, fields={"groups": "num_groups"}),
    "ciwae": Entry(objectives.ciwae, fields={"elbo_weight": "ciwae_weight"}),
    "renyi": Entry(objectives.renyi, fields={"alpha": "renyi_alpha"}),
    "beta_tc": Entry(objectives.beta_tc),
    "factor": Entry(objectives.factor, objectives.critic_pass, needs_key=True),
    "dip": Entry(_dip),
    "info": Entry(objectives.info, needs_key=True, constants=SCALES),
    "wae": Entry(objectives.wae, needs_key=True, constants=SCALES),
    "vq": Entry(objectives.vq, needs_key=True),
    "m2": Entry(
        objectives.semi_supervised,
        objectives.all_classes_pass,
        fields={"alpha": "classifier_weight"},
    ),
    "property": Entry(objectives.property_elbo, objectives.property_pass),
}


def _kl_balancing(c: ObjectiveConfig) -> Scalar | Schedule:
    """Balance during the warm-up of beta, if there is one, else throughout."""
    if c.beta_schedule == "constant":
        return c.kl_balancing
    return schedules.linear(c.kl_balancing, 0.0, c.beta_steps)


# Fields that have the value of a schedule, unless they are off.
SCHEDULES: dict[str, Callable[[ObjectiveConfig], Scalar | Schedule]] = {
    "beta": lambda c: pick(BETAS, "objective.beta_schedule", c.beta_schedule)(c),
    "kl_balancing": _kl_balancing,
    "capacity": lambda c: schedules.linear(0.0, c.capacity, c.capacity_steps),
}


def build_loss(config: Config, model: Model, num_examples: int) -> LossFn:
    """The loss function, with its schedules; `num_examples` is the size of the training set."""
    c = config.objective
    entry = pick(OBJECTIVES, "objective.name", c.name)
    corruption = build_corruption(config, model.units)
    loss_fn = objectives.make_loss_fn(
        model,
        entry.objective,
        num_samples=c.num_samples,
        corruption=corruption,
        history_corruption=build_history_corruption(config),
        forward=entry.forward,
        needs_key=entry.needs_key,
        **_hyper_parameters(entry, c, num_examples),
    )
    start = prior_from(config)
    if start is None:
        return loss_fn
    prior_loss_fn = objectives.make_loss_fn(
        model,
        objectives.fit_prior_loss,
        corruption=corruption,
        forward=objectives.prior_pass,
        needs_key=True,
    )
    return objectives.switch_losses(loss_fn, prior_loss_fn, start)


def _hyper_parameters(entry: Entry, c: ObjectiveConfig, num_examples: int) -> dict[str, Any]:
    """The keyword arguments of an objective, by the names in its signature."""
    fields = {field.name for field in dataclasses.fields(c)}
    keywords = inspect.signature(entry.objective).parameters
    values = dict(entry.constants)
    for keyword in keywords:
        field = entry.fields.get(keyword, keyword)
        if field in fields:
            value = value_or_none(c, field)
            is_scheduled = field in SCHEDULES and value is not None
            values[keyword] = SCHEDULES[field](c) if is_scheduled else value
    if "num_examples" in keywords:
        values["num_examples"] = num_examples
    return values


def build_corruption(config: Config, units: Units | None = None) -> Corruption | None:
    """The corruption of a denoising model's input, or None; of standardized x if it has units."""
    c = config.objective
    return make_corruption(c.corruption, c.corruption_level, units)


def build_history_corruption(config: Config) -> Corruption | None:
    """The corruption of the tokens that a decoder has seen, or None."""
    rate = value_or_none(config.objective, "token_dropout")
    return None if rate is None else corruptions.token_dropout(rate)


def make_corruption(name: str, level: float, units: Units | None) -> Corruption | None:
    """The same by name and level."""
    corruption = pick(CORRUPTIONS, "objective.corruption", name)(level)
    if units is None or corruption is None:
        return corruption
    return lambda key, x: units.restore(corruption(key, units.standardize(x)))


def build_post_update(config: Config) -> PostUpdate | None:
    """The update of a codebook after the optimizer's, or None for a model without a codebook."""
    c = config.codes
    if config.objective.name != "vq" or c.quantizer == "fsq":
        return None
    return objectives.vq_post_update(
        decay=c.decay,
        revive_below=value_or_none(c, "revive_below"),
        frozen_from=prior_from(config),
    )


def values_at(c: ObjectiveConfig, step: int) -> dict[str, Any]:
    """The hyper-parameters of the objective by keyword, at a step of their schedules."""
    return at_step(_hyper_parameters(OBJECTIVES[c.name], c, num_examples=0), jnp.int32(step))
