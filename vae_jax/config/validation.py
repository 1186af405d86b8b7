"""Config validation that does not depend on the data."""

import math
import re
from typing import Any

from vae_jax.config.fields import TABLE_SETS, Config
from vae_jax.config.metadata import AUTO, MAX_INT, check_bounds, leaf_fields
from vae_jax.config.model import STUDENT_T
from vae_jax.config.rules import Condition, Rule, check_rules, objective, one_of, value_of
from vae_jax.config.tree import as_tuple, check_types
from vae_jax.errors import InputError, format_value


def check(config: Config) -> None:
    """Raises InputError for the first field whose value is invalid whatever the data are."""
    check_values(config)
    check_rules(RULES, config)


def check_values(config: Config) -> None:
    """Raises InputError for the first field whose value is invalid by itself."""
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

    def rule(config: Config) -> str | None:
        value = as_tuple(value_of(config, path))
        if value in defaults or used_by.holds(config):
            return None
        return (
            f"config.{path} = {value!r}: does nothing without {used_by.text}; omit it, or set the "
            f"default, {defaults[0]!r}"
        )

    return rule


def _in_range(condition: Condition, path: str, low: float, high: float = math.inf) -> Rule:
    """Bounds that are narrower under the condition."""
    bounds = f"at least {low:g}" + (f" and at most {high:g}" if high < math.inf else "")

    def rule(config: Config) -> str | None:
        value = value_of(config, path)
        if not condition.holds(config) or low <= value <= high:
            return None
        return f"config.{path} = {value!r}: must be {bounds} with {condition.text}"

    return rule


def _wide_enough(condition: Condition, path: str) -> Rule:
    """A MADE needs a unit for each dimension, or some are not read."""

    def rule(config: Config) -> str | None:
        width, (name, latent_dim) = value_of(config, path), _top_latents(config)
        if not condition.holds(config) or width >= latent_dim:
            return None
        return (
            f"config.{path} = {width}: must be at least config.{name} = {latent_dim} "
            f"with {condition.text}; narrower, some dimensions are not read"
        )

    return rule


def _top_latents(config: Config) -> tuple[str, int]:
    """The field with the dimensions of the latents that `model.prior` is over, and their number."""
    latents = config.hierarchy.latents
    if config.model.kind == "hierarchical" and latents:
        return "hierarchy.latents[0]", latents[0]
    return "model.latent_dim", config.model.latent_dim


def _corruption_level(config: Config) -> str | None:
    c = config.objective
    if c.corruption == "none" or c.corruption_level > 0:
        return None
    return (
        f"config.objective.corruption_level = {c.corruption_level}: corruption {c.corruption!r} "
        "needs one above 0"
    )


def _channels(config: Config) -> str | None:
    c = config.model
    if not c.channels and c.network in ("conv", "broadcast", "resnet") and c.kind != "hierarchical":
        return (
            "config.model.channels = (): must have at least one entry with config.model.network "
            f"{c.network!r}"
        )
    if c.channels and c.network == "resnet" and c.channels[-1] < 2:
        return (
            f"config.model.channels = {tuple(c.channels)}: the last must be at least 2 with "
            "network 'resnet'"
        )
    return None


def _grid_of_pixelcnn(config: Config) -> str | None:
    c = config.codes
    has_grid = config.model.kind == "vq" and config.model.network not in ("resnet", AUTO)
    if not has_grid or c.prior != "pixelcnn" or len(c.grid) == 2:
        return None
    return f"config.codes.grid = {tuple(c.grid)}: must have two entries with codes.prior 'pixelcnn'"


def _levels_of_codes(config: Config) -> str | None:
    levels = tuple(config.codes.levels)
    if config.codes.quantizer != "fsq" or (levels and math.prod(levels) <= MAX_INT):
        return None
    return (
        f"config.codes.levels = {format_value(levels)}: must be one or more numbers with a product "
        f"of at most {MAX_INT}"
    )


def _length_of_cycles(config: Config) -> str | None:
    c = config.objective
    if c.beta_schedule != "cyclical" or c.beta_steps * c.beta_cycles <= MAX_INT:
        return None
    return (
        f"config.objective.beta_cycles = {c.beta_cycles}: times config.objective.beta_steps = "
        f"{c.beta_steps}, must be at most {MAX_INT}"
    )


def _groups(config: Config) -> str | None:
    c = config.objective
    if c.num_samples % c.num_groups == 0:
        return None
    return (
        f"config.objective.num_groups = {c.num_groups}: must divide config.objective.num_samples = "
        f"{c.num_samples}"
    )


def _levels(config: Config) -> str | None:
    if config.model.levels != 1:
        return None
    return "config.model.levels = 1: must be at least 2, or 0 for the levels of the data"


def _columns(config: Config) -> str | None:
    is_known = config.model.columns or config.data.name in TABLE_SETS
    if config.model.likelihood != "mixed" or is_known:
        return None
    return "config.model.columns = (): must name the type of each column with likelihood 'mixed'"


def _phases(config: Config) -> str | None:
    """The steps of the prior and of the warm-up leave some for the rest."""
    num_steps, prior_steps = config.train.num_steps, config.codes.prior_steps
    warmup = config.optimizer.warmup_steps
    if prior_steps >= num_steps:
        return (
            f"config.codes.prior_steps = {prior_steps}: must be below config.train.num_steps = "
            f"{num_steps}, of which they are the last"
        )
    less = f" less config.codes.prior_steps = {prior_steps}" if prior_steps else ""
    too_long = f"config.optimizer.warmup_steps = {warmup}: must be below config."
    if warmup >= num_steps - prior_steps:
        return f"{too_long}train.num_steps = {num_steps}{less}"
    if 0 < prior_steps <= warmup:
        return f"{too_long}codes.prior_steps = {prior_steps}; the prior has its own warm-up"
    if config.codes.prior == "pixelcnn" and not prior_steps:
        return "config.codes.prior_steps = 0: the prior 'pixelcnn' needs steps to be trained in"
    return None


RULES: tuple[Rule, ...] = (
    *(
        _is_used(path, (entry.default, entry.metadata["former"]), entry.metadata["used_by"])
        for path, entry in leaf_fields(Config)
        if entry.metadata["used_by"]
    ),
    # A learned sigma is bounded there.
    _in_range(one_of("model.sigma", "scalar", "channel", "pixel"), "model.init_sigma", 1e-3, 50),
    # So are learned degrees of freedom.
    _in_range(STUDENT_T & one_of("model.df", "learned", "predicted"), "model.init_df", 2.1, 900),
    _corruption_level,
    _in_range(
        one_of("objective.corruption", "masking", "salt_and_pepper"),
        "objective.corruption_level",
        low=0,
        high=1,
    ),
    _channels,
    _grid_of_pixelcnn,
    _levels_of_codes,
    # These compare the examples of a batch.
    _in_range(objective("beta_tc", "factor", "dip", "info", "wae"), "train.batch_size", 2),
    _in_range(
        one_of("objective.beta_schedule", "linear", "sigmoid", "cyclical"),
        "objective.beta_steps",
        low=1,
    ),
    _length_of_cycles,
    _groups,
    _levels,
    _columns,
    _wide_enough(one_of("model.posterior", "iaf"), "model.posterior_width"),
    _wide_enough(one_of("model.prior", "autoregressive"), "model.prior_width"),
    _phases,
)
