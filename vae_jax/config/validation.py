"""Config validation that does not depend on the data."""

import math
import re
from typing import Any

from vae_jax.config.fields import Config
from vae_jax.config.metadata import AUTO, MAX_INT, check_bounds, leaf_fields
from vae_jax.config.rules import (
    Condition,
    Rule,
    always,
    check_rules,
    none_of,
    objective,
    one_of,
    value_of,
)
from vae_jax.config.tree import as_tuple, check_types
from vae_jax.errors import InputError, format_value


def check(config: Config) -> None:
    """Raises InputError for the first field whose value is invalid whatever the data are."""
    check_values(config)
    check_rules(RULES, config)


def check_values(config: Config) -> None:
    """Raises InputError for the first field whose value is invalid whatever the others are."""
    check_types(config, "")
    if not re.fullmatch(r"(?=.*\w)[\w.+=,-]{1,100}", config.name):
        raise InputError(
            f"config.name = {format_value(config.name)}: must be at most 100 letters, digits and "
            "any of _.+=,- (it names a folder)"
        )
    for path, bounds in leaf_fields(Config):
        check_bounds(path, value_of(config, path), bounds)


def _is_used(path: str, defaults: tuple[Any, ...], used_by: Condition) -> Rule:
    """A value other than the default, or an earlier one, needs something that uses it."""
    return Rule(
        lambda config: as_tuple(value_of(config, path)) not in defaults,
        used_by.holds,
        lambda config: (
            f"config.{path} = {as_tuple(value_of(config, path))!r}: does nothing without "
            f"{used_by.text}; leave it out"
        ),
    )


def _in_range(condition: Condition, path: str, low: float, high: float = math.inf) -> Rule:
    """Bounds that are narrower under the condition."""
    bounds = f"at least {low:g}" + (f" and at most {high:g}" if high < math.inf else "")
    return Rule(
        condition.holds,
        lambda config: low <= value_of(config, path) <= high,
        lambda config: (
            f"config.{path} = {value_of(config, path)!r}: must be {bounds} with {condition.text}"
        ),
    )


def _prior_from(config: Config) -> int:
    return config.train.num_steps - config.codes.prior_steps


def _less_prior_steps(config: Config) -> str:
    steps = config.codes.prior_steps
    return f" less config.codes.prior_steps = {steps}" if steps else ""


def _wide_enough(condition: Condition, path: str) -> Rule:
    """A MADE needs a unit for each dimension, or some are not read."""
    return Rule(
        condition.holds,
        lambda config: value_of(config, path) >= config.model.latent_dim,
        lambda config: (
            f"config.{path} = {value_of(config, path)}: must be at least config.model.latent_dim = "
            f"{config.model.latent_dim} with {condition.text}; narrower, some dimensions are not "
            "read"
        ),
    )


RULES = (
    *(
        _is_used(path, (entry.default, entry.metadata["former"]), entry.metadata["used_by"])
        for path, entry in leaf_fields(Config)
        if entry.metadata["used_by"]
    ),
    # A learned sigma is bounded there.
    _in_range(one_of("model.sigma", "scalar", "channel", "pixel"), "model.init_sigma", 1e-3, 50),
    Rule(
        none_of("objective.corruption", "none").holds,
        lambda config: config.objective.corruption_level > 0,
        lambda config: (
            f"config.objective.corruption_level = {config.objective.corruption_level}: corruption "
            f"{config.objective.corruption!r} needs one above 0"
        ),
    ),
    _in_range(
        one_of("objective.corruption", "masking", "salt_and_pepper"),
        "objective.corruption_level",
        0,
        1,
    ),
    Rule(
        lambda config: (
            config.model.network in ("conv", "resnet") and config.model.kind != "hierarchical"
        ),
        lambda config: bool(config.model.channels),
        lambda config: (
            "config.model.channels = (): must have at least one entry with config.model.network "
            f"{config.model.network!r}"
        ),
    ),
    Rule(
        lambda config: config.model.network == "resnet" and bool(config.model.channels),
        lambda config: config.model.channels[-1] >= 2,
        lambda config: (
            f"config.model.channels = {tuple(config.model.channels)}: the last must be at least 2 "
            "with network 'resnet'"
        ),
    ),
    Rule(
        lambda config: (
            config.model.kind == "vq"
            and config.model.network not in ("resnet", AUTO)
            and config.codes.prior == "pixelcnn"
        ),
        lambda config: len(config.codes.grid) == 2,
        lambda config: (
            f"config.codes.grid = {tuple(config.codes.grid)}: must have two entries with "
            "codes.prior 'pixelcnn'"
        ),
    ),
    # These compare the examples of a batch.
    _in_range(objective("beta_tc", "factor", "dip", "info", "wae"), "train.batch_size", 2),
    _in_range(
        one_of("objective.beta_schedule", "linear", "sigmoid", "cyclical"),
        "objective.beta_steps",
        1,
    ),
    Rule(
        one_of("objective.beta_schedule", "cyclical").holds,
        lambda config: config.objective.beta_steps * config.objective.beta_cycles <= MAX_INT,
        lambda config: (
            f"config.objective.beta_cycles = {config.objective.beta_cycles}: times "
            f"config.objective.beta_steps = {config.objective.beta_steps}, must be at most "
            f"{MAX_INT}"
        ),
    ),
    Rule(
        always,
        lambda config: config.objective.num_samples % config.objective.num_groups == 0,
        lambda config: (
            f"config.objective.num_groups = {config.objective.num_groups}: must divide "
            f"config.objective.num_samples = {config.objective.num_samples}"
        ),
    ),
    Rule(
        always,
        lambda config: config.model.levels != 1,
        lambda config: "config.model.levels = 1: must be at least 2, or 0 for those of the data",
    ),
    Rule(
        one_of("model.likelihood", "mixed").holds,
        lambda config: bool(config.model.columns),
        lambda config: (
            "config.model.columns = (): must name the type of each column with likelihood 'mixed'"
        ),
    ),
    _wide_enough(one_of("model.posterior", "iaf"), "model.posterior_width"),
    _wide_enough(one_of("model.prior", "autoregressive"), "model.prior_width"),
    Rule(
        always,
        lambda config: _prior_from(config) >= 1,
        lambda config: (
            f"config.codes.prior_steps = {config.codes.prior_steps}: must be below "
            f"config.train.num_steps = {config.train.num_steps}, of which they are the last"
        ),
    ),
    Rule(
        always,
        lambda config: config.optimizer.warmup_steps < _prior_from(config),
        lambda config: (
            f"config.optimizer.warmup_steps = {config.optimizer.warmup_steps}: must be below "
            f"config.train.num_steps = {config.train.num_steps}{_less_prior_steps(config)}"
        ),
    ),
    Rule(
        lambda config: config.codes.prior_steps > 0,
        lambda config: config.optimizer.warmup_steps < config.codes.prior_steps,
        lambda config: (
            f"config.optimizer.warmup_steps = {config.optimizer.warmup_steps}: must be below "
            f"config.codes.prior_steps = {config.codes.prior_steps}; the prior has its own warm-up"
        ),
    ),
    Rule(
        one_of("codes.prior", "pixelcnn").holds,
        lambda config: config.codes.prior_steps > 0,
        lambda config: (
            "config.codes.prior_steps = 0: the prior 'pixelcnn' needs steps to be trained in"
        ),
    ),
)
