"""The trials of a sweep: every combination of the values in `config.sweep`, each the config of a run of its own."""

import dataclasses
import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from vae_jax.config import Config, Sweep, check_types, value_of
from vae_jax.errors import InputError, check_range, format_value

MAX_TRIALS = 300  # each keeps three files open, and many systems allow 1,024 in all

_FIELDS = {  # group of `Config` -> fields of it that a sweep may go over
    "objective": (
        *(
            "beta",
            "beta_start",
            "beta_steps",
            "beta_cycles",
            "free_bits",
            "layer_free_bits",
            "kl_balancing",
            "capacity",
            "capacity_steps",
            "corruption_level",
        ),
        *(
            "ciwae_weight",
            "renyi_alpha",
            "mi_weight",
            "tc_weight",
            "dim_weight",
            "off_diagonal_weight",
            "diagonal_weight",
        ),
        *("info_alpha", "mmd_weight", "classifier_weight", "codebook_weight", "commitment"),
    ),
    "model": ("init_sigma", "temperature"),
    "optimizer": (
        "learning_rate",
        "warmup_steps",
        "weight_decay",
        "clip_norm",
        "ema_decay",
        "critic_rate",
    ),
}
PATHS = {"seed": "seed"} | {
    name: f"{group}.{name}" for group, names in _FIELDS.items() for name in names
}  # of `Sweep`


def sweep_lists(config: Config) -> dict[str, tuple]:
    """The lists that are not empty: field of `Sweep` -> its values."""
    return {
        name: tuple(getattr(config.sweep, name)) for name in PATHS if getattr(config.sweep, name)
    }


def trial_configs(config: Config) -> dict[str, Config]:
    """Trial names, such as "beta=4,seed=1", to the configs of those runs alone; empty where nothing is swept.

    The seed varies fastest, and is named last.

    Raises:
      InputError: a list holds something else than numbers, or one of them twice, or there are more than `MAX_TRIALS`.
    """
    check_types(config, "")
    check_range("config.sweep.chunk", config.sweep.chunk, 0, 2**31 - 1)
    lists = sweep_lists(config)
    num_trials = math.prod(map(len, lists.values()))
    if num_trials > MAX_TRIALS:
        raise InputError(
            f"config.sweep: {' x '.join(lists)} make {num_trials} trials; at most {MAX_TRIALS} are allowed"
        )
    for name, values in lists.items():
        if len({trial_name({name: value}) for value in values}) < len(values):
            raise InputError(
                f"config.sweep.{name} = {format_value(values)}: must not hold a value twice, to 12 digits"
            )
    if 0 in lists.get("ema_decay", ()) and len(lists["ema_decay"]) > 1:
        raise InputError(
            f"config.sweep.ema_decay = {format_value(lists['ema_decay'])}: must be all 0 or all above; trials keep the same"
        )
    names = sorted(lists, key=lambda name: name == "seed")
    alone = dataclasses.replace(config, sweep=Sweep())
    combinations = (
        dict(zip(names, values, strict=True))
        for values in itertools.product(*(lists[name] for name in names))
    )
    return {trial_name(values): with_values(alone, values) for values in combinations if values}


def trial_name(values: Mapping[str, Any]) -> str:
    """The name of the trial with those values: "beta=4,seed=1"."""
    return ",".join(f"{name}={value:.12g}" for name, value in values.items())


def with_values(config: Config, values: Mapping[str, Any]) -> Config:
    """A copy of the config with other values, numbers or traced scalars, for fields of `Sweep` by name."""
    for name, value in values.items():
        *groups, field = PATHS[name].split(".")
        for group in groups:
            config = dataclasses.replace(
                config, **{group: dataclasses.replace(getattr(config, group), **{field: value})}
            )
        if not groups:
            config = dataclasses.replace(config, **{field: value})
    return config


def trial_values(trials: Sequence[Config]) -> dict[str, np.ndarray]:
    """The fields in which the trials differ, field of `Sweep` -> values [L]; whole numbers int32, others float32."""
    columns = {name: [value_of(trial, path) for trial in trials] for name, path in PATHS.items()}
    kinds = {
        field.name: np.int32 if field.type == tuple[int, ...] else np.float32
        for field in dataclasses.fields(Sweep)
    }
    return {
        name: np.asarray(column, kinds[name])
        for name, column in columns.items()
        if len(set(column)) > 1
    }


def values_of(trial: Config, config: Config) -> dict[str, Any]:
    """The values of a trial in what its sweep goes over, by field of `Sweep`."""
    return {name: value_of(trial, PATHS[name]) for name in sweep_lists(config)}
