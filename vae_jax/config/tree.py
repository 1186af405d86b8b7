"""The config as a tree: conversion to and from dictionaries, type checks, differences."""

import dataclasses
import functools
import typing
from collections.abc import Collection, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from vae_jax.config.fields import Config
from vae_jax.config.metadata import AUTO, describe_bounds, is_auto, leaf_fields
from vae_jax.config.rules import value_of
from vae_jax.errors import InputError, format_value, suggest, truncate

_TYPES = {
    str: "a string",
    bool: "true or false",
    int: "an integer",
    float: "a number",
    tuple[int, ...]: "a tuple of integers",
    tuple[float, ...]: "a tuple of numbers",
    tuple[str, ...]: "a tuple of strings",
}


_field_types = functools.cache(typing.get_type_hints)  # slow, and asked for at every field


class FieldDescription(NamedTuple):
    """One hyper-parameter, as documentation shows it."""

    path: str
    type: str
    default: Any
    allowed: str  # bounds or names, "" if there are none
    doc: str


def describe_fields(
    names: Mapping[str, Iterable[str]] = MappingProxyType({}),
) -> list[FieldDescription]:
    """Describe every hyper-parameter of `Config`, in its order.

    `names` has those allowed by path, as `TABLES` of `vae_jax.experiment.builders.choices`.
    """
    return [
        FieldDescription(
            path,
            _TYPES[entry.type].removeprefix("an ").removeprefix("a "),
            entry.default,
            ", ".join(names[path]) if path in names else describe_bounds(entry),
            entry.metadata["doc"],
        )
        for path, entry in leaf_fields(Config)
    ]


def flatten(config: Config) -> dict[str, Any]:
    """Return values by dotted path: ``{"seed": 0, "data.name": ...}``."""
    return dict(_leaves(dataclasses.asdict(config), ""))


def check_types(group: Any, prefix: str) -> None:
    """Raises InputError for the first attribute that is no field or has a value of another type."""
    types = _field_types(type(group))
    for name, value in vars(group).items():
        path = prefix + name
        check_field(path)
        kind = types[name]
        if dataclasses.is_dataclass(kind):
            if not isinstance(value, kind):
                raise InputError(
                    f"config.{path} = {format_value(value)}: must be a {kind.__name__}"
                )
            check_types(value, f"{path}.")
        elif not _has_type(value, kind):
            raise InputError(f"config.{path} = {format_value(value)}: must be {_TYPES[kind]}")
        elif any(isinstance(entry, int) and abs(entry) >= 2**63 for entry in _entries(value)):
            raise InputError(f"config.{path} = {format_value(value)}: must be below 2^63")


def _entries(value: Any) -> Collection[Any]:
    return value if isinstance(value, tuple | list) else (value,)


def _has_type(value: Any, kind: Any) -> bool:
    if typing.get_origin(kind) is tuple:
        entry_type = typing.get_args(kind)[0]
        return isinstance(value, tuple | list) and all(_has_type(v, entry_type) for v in value)
    if isinstance(value, bool) or kind is bool:  # a bool is an int in Python
        return isinstance(value, bool) and kind is bool
    return isinstance(value, int | float if kind is float else kind)


def from_dict(values: Mapping[str, Any]) -> Config:
    """Return the config with those nested fields, as from `dataclasses.asdict` or its JSON.

    Fields that are missing have their defaults. Raises InputError for an unknown field.
    """
    if not isinstance(values, Mapping):
        raise InputError(f"config: must be a mapping of fields to values, not {values!r}")
    config = Config()
    for path, value in _leaves(values, ""):
        check_field(path)
        group, _, name = path.rpartition(".")
        setattr(value_of(config, group) if group else config, name, value)
    check_types(config, "")
    return config


def _leaves(values: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield prefix + name, as_tuple(value)


def as_tuple(value: Any) -> Any:
    """Convert lists, as in config files and JSON, to tuples; other values are unchanged."""
    return tuple(value) if isinstance(value, list) else value


def check_field(path: str) -> None:
    """Raises InputError unless the dotted path is a field of `Config`."""
    cls: Any = Config
    for name in path.split("."):
        types = _field_types(cls) if dataclasses.is_dataclass(cls) else {}
        if name not in types:
            hint = suggest(path[:100], list(flatten(Config())))
            raise InputError(f"config.{truncate(path, 200)}: no such field{hint}")
        cls = types[name]


def differences(ours: Config, theirs: Config, free: Collection[str] = ()) -> list[str]:
    """Return one line for each field in which two configs differ, except `free` fields.

    What is chosen from the data in ours may have been chosen in theirs.
    """
    a = flatten(ours)
    b = flatten(theirs)
    free = {*free, *(path for path in a if is_auto(path, a[path]))}
    if ours.model.network == AUTO:
        free.add("codes.grid")
    if ours.model.likelihood == AUTO and not ours.model.columns:
        free.add("model.columns")
    paths = [path for path in a if a[path] != b[path] and path not in free]
    return [f"config.{path}: {a[path]!r} here, {b[path]!r} there" for path in paths]


def check_same(ours: Config, saved: Config, where: str, free: Collection[str] = ()) -> None:
    """Raises InputError if the config of the run in `where` differs in any but the `free` fields.

    The message lists all differences.
    """
    lines = differences(ours, saved, free)
    if lines:
        raise InputError(
            f"{where}: holds a run of another config; use another workdir, or make these equal:\n  "
            + "\n  ".join(lines)
        )
