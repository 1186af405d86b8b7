"""From a config to the function that a train step differentiates, and to what follows the optimizer."""

import functools
from collections.abc import Callable
from typing import Any

from flax import linen as nn

from vae_jax import corruptions, objectives, schedules
from vae_jax.config import Config, Objective
from vae_jax.corruptions import Corruption
from vae_jax.experiment.builders.lookup import is_on, pick
from vae_jax.experiment.builders.optimizer import prior_from
from vae_jax.types import LossFn, PostUpdate, Schedule

CORRUPTIONS: dict[str, Callable[[float], Corruption | None]] = {
    "none": lambda level: None,
    "gaussian": corruptions.gaussian_noise,
    "masking": corruptions.masking,
    "salt_and_pepper": corruptions.salt_and_pepper,
}
BETAS: dict[str, Callable[[Objective], Schedule]] = {
    "constant": lambda c: schedules.constant(c.beta),
    "linear": lambda c: schedules.linear(c.beta_start, c.beta, c.beta_steps),
    "sigmoid": lambda c: schedules.sigmoid(c.beta_start, c.beta, c.beta_steps),
    "cyclical": lambda c: schedules.cyclical(
        c.beta_start, c.beta, c.beta_steps, num_cycles=c.beta_cycles
    ),
}
KERNELS = objectives.mmd.KERNELS


Make = Callable[[Config, nn.Module, int], LossFn]  # the last: how many training examples there are


def _flat(objective: Callable, *, needs_key: bool = False, **fields: str) -> Make:
    """The loss of an objective of `Outputs`; `fields` are those of config.objective that its hyper-parameters are read from."""

    def make(config: Config, model: nn.Module, num_examples: int) -> LossFn:
        c = config.objective
        options = {
            "num_samples": c.num_samples,
            "corruption": build_corruption(config),
            "needs_key": needs_key,
        }
        return objectives.make_loss_fn(model, objective, **options, **_values(c, fields))

    return make


def _two_players(objective: Callable, **fields: str) -> Make:
    def make(config: Config, model: nn.Module, num_examples: int) -> LossFn:
        c = config.objective
        return objectives.make_two_player_loss_fn(
            model,
            objective,
            num_samples=c.num_samples,
            corruption=build_corruption(config),
            **_values(c, fields),
        )

    return make


def _values(c: Objective, fields: dict[str, str]) -> dict[str, Any]:
    return {name: getattr(c, field) for name, field in fields.items()}


def _elbo(config: Config, model: nn.Module, num_examples: int) -> LossFn:
    c = config.objective
    values: dict[str, Any] = {"beta": pick(BETAS, "objective.beta_schedule", c.beta_schedule)(c)}
    values |= {
        name: getattr(c, name)
        for name in ("free_bits", "layer_free_bits")
        if is_on(getattr(c, name))
    }
    if is_on(c.kl_balancing):  # of a warm-up: where beta has one, the balance ends with it
        is_warm_up = c.beta_schedule != "constant"
        values["kl_balancing"] = (
            schedules.linear(c.kl_balancing, 0.0, c.beta_steps) if is_warm_up else c.kl_balancing
        )
    if is_on(c.capacity):
        values["capacity"] = schedules.linear(0.0, c.capacity, c.capacity_steps)
    options = {"num_samples": c.num_samples, "corruption": build_corruption(config)}
    return objectives.make_loss_fn(model, objectives.elbo, **options, **values)


def _beta_tc(config: Config, model: nn.Module, num_examples: int) -> LossFn:
    c = config.objective
    objective = functools.partial(
        objectives.beta_tc, num_examples=num_examples, stratified=c.stratified
    )
    weights = {name: getattr(c, name) for name in ("mi_weight", "tc_weight", "dim_weight")}
    return objectives.make_loss_fn(
        model, objective, num_samples=c.num_samples, corruption=build_corruption(config), **weights
    )


def _factor(config: Config, model: nn.Module, num_examples: int) -> LossFn:
    c = config.objective
    return objectives.make_factor_loss_fn(
        model, num_samples=c.num_samples, corruption=build_corruption(config), tc_weight=c.tc_weight
    )


def _dip(config: Config, model: nn.Module, num_examples: int) -> LossFn:
    objective = {1: objectives.dip_i, 2: objectives.dip_ii}[config.objective.dip_kind]
    make = _flat(
        objective, off_diagonal_weight="off_diagonal_weight", diagonal_weight="diagonal_weight"
    )
    return make(config, model, num_examples)


def _matched(objective: Callable, **fields: str) -> Make:
    """InfoVAE and WAE: by a kernel on a sum of scales."""

    def make(config: Config, model: nn.Module, num_examples: int) -> LossFn:
        whole = functools.partial(
            objective, kernel=config.objective.kernel, scales=objectives.mmd.SCALES
        )
        return _flat(whole, needs_key=True, **fields)(config, model, num_examples)

    return make


def _vq(config: Config, model: nn.Module, num_examples: int) -> LossFn:
    c = config.objective
    return objectives.make_vq_loss_fn(
        model,
        commitment=c.commitment,
        codebook_weight=c.codebook_weight,
        prior_from=prior_from(config),
        corruption=build_corruption(config),
    )


def _semi_supervised(config: Config, model: nn.Module, num_examples: int) -> LossFn:
    c = config.objective
    return objectives.make_semi_supervised_loss_fn(
        model,
        num_samples=c.num_samples,
        corruption=build_corruption(config),
        alpha=c.classifier_weight,
    )


OBJECTIVES: dict[str, Make] = {
    "elbo": _elbo,
    "reconstruction": _flat(objectives.reconstruction),
    "iwae": _flat(objectives.iwae),
    "stl": _flat(objectives.stl),
    "dreg": _two_players(objectives.dreg),
    "miwae": _flat(objectives.miwae, groups="num_groups"),
    "piwae": _two_players(objectives.piwae, groups="num_groups"),
    "ciwae": _flat(objectives.ciwae, elbo_weight="ciwae_weight"),
    "renyi": _flat(objectives.renyi, alpha="renyi_alpha"),
    "beta_tc": _beta_tc,
    "factor": _factor,
    "dip": _dip,
    "info": _matched(objectives.info, info_alpha="info_alpha", mmd_weight="mmd_weight"),
    "wae": _matched(objectives.wae, mmd_weight="mmd_weight"),
    "vq": _vq,
    "m2": _semi_supervised,
}


def build_loss(config: Config, model: nn.Module, num_examples: int) -> LossFn:
    """The loss function, with its schedules; `num_examples` is the size of the training set."""
    return pick(OBJECTIVES, "objective.name", config.objective.name)(config, model, num_examples)


def build_corruption(config: Config) -> Corruption | None:
    """What a denoising model does to its input, or None."""
    c = config.objective
    return pick(CORRUPTIONS, "objective.corruption", c.corruption)(c.corruption_level)


def build_post_update(config: Config) -> PostUpdate | None:
    """What follows the optimizer: the averages and revivals of a codebook, for a model that has one."""
    c = config.codes
    if config.objective.name != "vq" or c.quantizer == "fsq":
        return None
    revive_below = c.revive_below or None
    return objectives.vq_post_update(
        decay=c.decay, revive_below=revive_below, frozen_from=prior_from(config)
    )
