"""The trials of a sweep: the config of a run for every combination of values in `config.sweep`."""

import dataclasses
import itertools
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from vae_jax.config.fields import Config, Sweep
from vae_jax.config.metadata import check_bounds, leaf_fields
from vae_jax.config.rules import value_of
from vae_jax.config.tree import check_types
from vae_jax.errors import InputError, format_value

MAX_TRIALS = 300  # each keeps three files open, and many systems allow 1,024 in all

_LISTS = {entry.name: entry for entry in dataclasses.fields(Sweep)}


def by_name(paths: Iterable[str]) -> dict[str, str]:
    """Return paths of fields by their names; raises ValueError if two have one name."""
    names: dict[str, str] = {}
    for path in paths:
        name = path.rpartition(".")[2]
        if name in names:
            raise ValueError(f"fields {names[name]} and {path} can't be swept under one name")
        names[name] = path
    return names


_SWEPT = by_name(path for path, entry in leaf_fields(Config) if entry.metadata["sweep"])
# Path in `Sweep` -> path in `Config`.
PATHS = {name: _SWEPT[name] for name in _LISTS if name != "chunk"}


class Share(NamedTuple):
    """The trials of one process of several: every `count`-th from the `index`-th on, from 1."""

    index: int
    count: int

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"


def parse_share(text: str) -> Share:
    """Parse "2/8"; raises InputError unless it is K/N with K from 1 to N."""
    match = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", text.strip())
    share = Share(*map(int, match.groups())) if match else Share(0, 0)
    if not 1 <= share.index <= share.count:
        raise InputError(
            f"trials = {format_value(text)}: must be K/N with K from 1 to N, such as 2/8 for every "
            "eighth trial from the second on"
        )
    return share


def sweep_lists(config: Config) -> dict[str, tuple]:
    """Return the lists that are not empty, by field of `Sweep`."""
    lists = {name: tuple(getattr(config.sweep, name)) for name in PATHS}
    return {name: values for name, values in lists.items() if values}


def trial_configs(config: Config) -> dict[str, Config]:
    """Return the config of each trial by its name, such as "beta=4,seed=1"; empty if no sweep.

    The seed varies fastest, and is named last.

    Raises:
      InputError: a list holds anything but numbers, or a value twice, or there are more than
        `MAX_TRIALS` trials.
    """
    check_types(config, "")
    check_bounds("sweep.chunk", config.sweep.chunk, _LISTS["chunk"])
    lists = sweep_lists(config)
    num_trials = math.prod(map(len, lists.values()))
    if num_trials > MAX_TRIALS:
        raise InputError(
            f"config.sweep: {' x '.join(lists)} make {num_trials} trials; at most {MAX_TRIALS} are "
            "allowed"
        )
    for name, values in lists.items():
        if len({trial_name({name: value}) for value in values}) < len(values):
            raise InputError(
                f"config.sweep.{name} = {format_value(values)}: must not hold a value twice, to 12 "
                "digits"
            )
    decays = lists.get("ema_decay", ())
    if 0 in decays and len(decays) > 1:
        raise InputError(
            f"config.sweep.ema_decay = {format_value(decays)}: must be all 0 or all above 0; all "
            "trials have the same state"
        )
    names = sorted(lists, key=lambda name: name == "seed")
    base = dataclasses.replace(config, sweep=Sweep())
    combinations = (
        dict(zip(names, values, strict=True))
        for values in itertools.product(*(lists[name] for name in names))
    )
    return {trial_name(values): with_values(base, values) for values in combinations if values}


def trial_name(values: Mapping[str, Any]) -> str:
    """Return the name of the trial with those values: "beta=4,seed=1"."""
    return ",".join(f"{name}={value:.12g}" for name, value in values.items())


def with_values(config: Config, values: Mapping[str, Any]) -> Config:
    """Return a copy with other values, numbers or traced scalars, by field of `Sweep`."""
    for name, value in values.items():
        *groups, leaf = PATHS[name].split(".")
        changes: dict[str, Any] = {leaf: value}
        for group in groups:
            changes = {group: dataclasses.replace(getattr(config, group), **changes)}
        config = dataclasses.replace(config, **changes)
    return config


def trial_values(trials: Sequence[Config]) -> dict[str, np.ndarray]:
    """Return the values [L] of each field of `Sweep` in which the trials differ.

    Integers are int32, other numbers float32.
    """
    columns = {name: [value_of(trial, path) for trial in trials] for name, path in PATHS.items()}
    return {
        name: np.asarray(column, np.int32 if _LISTS[name].type == tuple[int, ...] else np.float32)
        for name, column in columns.items()
        if len(set(column)) > 1
    }


def values_of(trial: Config, config: Config) -> dict[str, Any]:
    """Return the values of a trial in the fields that its sweep varies, by field of `Sweep`."""
    return {name: value_of(trial, PATHS[name]) for name in sweep_lists(config)}
