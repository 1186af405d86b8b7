"""The config as a tree: to dictionaries and back, with the types of its fields checked on the way."""

import dataclasses
import functools
import typing
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from vae_jax.config.fields import Config
from vae_jax.errors import InputError, format_value, suggest, truncate


def flatten(config: Config) -> dict[str, Any]:
    """Field paths to values: ``{"seed": 0, "data.name": ...}``."""
    return dict(_leaves(dataclasses.asdict(config), ""))


def check_types(group: Any, prefix: str) -> None:
    """Raises InputError for the first attribute that is no field, or whose value is of another type than the field."""
    kinds = typing.get_type_hints(type(group))
    for name, value in vars(group).items():
        field = prefix + name
        check_field(field)
        kind = kinds[name]
        if dataclasses.is_dataclass(kind):
            if not isinstance(value, kind):
                raise InputError(
                    f"config.{field} = {format_value(value)}: must be a {kind.__name__}"
                )
            check_types(value, f"{field}.")
        elif not _is_a(value, kind):
            raise InputError(f"config.{field} = {format_value(value)}: must be {_KINDS[kind]}")
        elif any(isinstance(entry, int) and abs(entry) >= 2**63 for entry in _entries(value)):
            raise InputError(
                f"config.{field} = {format_value(value)}: must be below 2^63; no number that is meant has more digits"
            )


_KINDS = {
    str: "a string",
    bool: "true or false",
    int: "an integer",
    float: "a number",
    tuple[int, ...]: "a tuple of integers",
    tuple[float, ...]: "a tuple of numbers",
    tuple[str, ...]: "a tuple of strings",
}


def _entries(value: Any) -> Collection[Any]:
    return value if isinstance(value, tuple | list) else (value,)


def _is_a(value: Any, kind: Any) -> bool:
    if typing.get_origin(kind) is tuple:
        return isinstance(value, tuple | list) and all(
            _is_a(entry, typing.get_args(kind)[0]) for entry in value
        )
    if isinstance(value, bool) or kind is bool:  # which Python counts among the integers
        return isinstance(value, bool) and kind is bool
    return isinstance(value, int | float if kind is float else kind)


def from_dict(values: Mapping[str, Any]) -> Config:
    """The config whose nested fields, as from `dataclasses.asdict` or its JSON, are given; InputError on an unknown one."""
    if not isinstance(values, Mapping):
        raise InputError(f"config: must be a mapping of fields to values, not {values!r}")
    config = Config()
    for path, value in _leaves(values, ""):
        check_field(path)
        *groups, name = path.split(".")
        holder = functools.reduce(getattr, groups, config)
        setattr(holder, name, value)
    check_types(config, "")
    return config


def _leaves(values: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield prefix + name, tuple(value) if isinstance(value, list) else value


def check_field(path: str) -> None:
    """Raises InputError unless the dotted path is a field of `Config`."""
    cls: Any = Config
    for name in path.split("."):
        types = typing.get_type_hints(cls) if dataclasses.is_dataclass(cls) else {}
        if name not in types:
            known = list(flatten(Config()))
            raise InputError(
                f"config.{truncate(path, 200)}: no such field{suggest(path[:100], known)}"
            )
        cls = types[name]


def differences(ours: Config, theirs: Config, free: Collection[str] = ()) -> list[str]:
    """One line for each field in which two configs differ, the `free` ones apart."""
    a, b = flatten(ours), flatten(theirs)
    fields = [field for field in a if a[field] != b[field] and field not in free]
    return [f"config.{field}: {a[field]!r} here, {b[field]!r} there" for field in fields]


def check_same(ours: Config, saved: Config, where: str, free: Collection[str] = ()) -> None:
    """InputError with every field in which the config differs from that of the run kept in `where`, `free` ones apart."""
    lines = differences(ours, saved, free)
    if lines:
        raise InputError(
            f"{where}: holds a run of another config; take another workdir, or make these equal:\n  "
            + "\n  ".join(lines)
        )


def value_of(config: Config, path: str) -> Any:
    """The value of a field by its dotted path."""
    return functools.reduce(getattr, path.split("."), config)
