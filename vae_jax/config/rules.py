"""Rules between the values of a config: what must hold, and when."""

import functools
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, TypeAlias

from vae_jax.errors import InputError


def value_of(config: Any, path: str) -> Any:
    """The value of a field by its dotted path."""
    return functools.reduce(getattr, path.split("."), config)


class Condition(NamedTuple):
    """A property of a config, and its description in messages, such as "model.kind 'vq'".

    `path` and `values` are arguments of `one_of` and `metric`; of two conditions, the first's.
    """

    text: str
    holds: Callable[[Any], bool]
    path: str = ""
    values: tuple[object, ...] = ()

    def __and__(self, other: "Condition") -> "Condition":
        return Condition(
            f"{self.text} and {other.text}",
            lambda config: self.holds(config) and other.holds(config),
            self.path,
            self.values,
        )

    def first(self, config: Any) -> object | None:
        """The value of the field, or the first entry of the list of metrics, among `values`."""
        return next((entry for entry in _entries(config, self.path) if entry in self.values), None)


def one_of(path: str, *values: object) -> Condition:
    """The field has one of the values."""
    return Condition(
        f"{path} {join_values(values)}",
        lambda config: value_of(config, path) in values,
        path,
        values,
    )


def none_of(path: str, *values: object) -> Condition:
    """The field has none of the values."""
    return Condition(
        f"{path} other than {join_values(values)}",
        lambda config: value_of(config, path) not in values,
    )


def objective(*names: str) -> Condition:
    """The objective has one of the names."""
    return one_of("objective.name", *names)


METRICS = "evaluation.metrics"


def metric(*names: str) -> Condition:
    """The evaluation includes one of the metrics."""
    return Condition(
        f"{join_values(names)} in config.{METRICS}",
        lambda config: any(name in config.evaluation.metric_names for name in names),
        METRICS,
        names,
    )


def _entries(config: Any, path: str) -> tuple[object, ...]:
    return config.evaluation.metric_names if path == METRICS else (value_of(config, path),)


def join_values(values: Iterable[object]) -> str:
    """The values as text: "'a' or 'b'"."""
    return " or ".join(map(repr, values))


Rule: TypeAlias = Callable[..., str | None]
"""(config), in rules about data (config, data set), to the error or None if the rule holds."""


def check_rules(rules: Iterable[Rule], *subject: Any) -> None:
    """Raises InputError with the message of the first rule that the subject breaks."""
    for rule in rules:
        message = rule(*subject)
        if message is not None:
            raise InputError(message)


def needs(condition: Condition, allowed: Condition, why: str) -> Rule:
    """A rule: a config with one of the `condition` values must have one of the `allowed`."""

    def rule(config: Any) -> str | None:
        is_auto = value_of(config, allowed.path) == "auto"  # will be chosen to fit
        if not condition.holds(config) or allowed.holds(config) or is_auto:
            return None
        return (
            f"config.{condition.path} = {condition.first(config)!r}: doesn't fit "
            f"config.{allowed.path} = "
            f"{value_of(config, allowed.path)!r}, which must be {join_values(allowed.values)}; "
            f"{why}"
        )

    return rule


def all_but(names: Iterable[str], *excluded: str) -> tuple[str, ...]:
    """The names that are not excluded."""
    return tuple(name for name in names if name not in excluded)
