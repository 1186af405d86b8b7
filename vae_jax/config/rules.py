"""Rules between the values of a config: what must hold, and when."""

import functools
from collections.abc import Callable, Collection, Iterable
from typing import Any, NamedTuple

from vae_jax.errors import InputError


def value_of(config: Any, path: str) -> Any:
    """The value of a field by its dotted path."""
    return functools.reduce(getattr, path.split("."), config)


class Condition(NamedTuple):
    """A property of a config, and its description in messages, such as "model.kind 'vq'"."""

    text: str
    holds: Callable[[Any], bool]

    def __and__(self, other: "Condition") -> "Condition":
        return Condition(
            f"{self.text} and {other.text}",
            lambda config: self.holds(config) and other.holds(config),
        )


def one_of(path: str, *values: object) -> Condition:
    """The field has one of the values."""
    return Condition(
        f"{path} {join_values(values)}", lambda config: value_of(config, path) in values
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


def metric(*names: str) -> Condition:
    """The evaluation includes one of the metrics."""
    return Condition(
        f"{join_values(names)} in config.evaluation.metrics",
        lambda config: any(name in config.evaluation.metric_names for name in names),
    )


def join_values(values: Iterable[object]) -> str:
    """The values as text: "'a' or 'b'"."""
    return " or ".join(map(repr, values))


class Rule(NamedTuple):
    """A requirement that must hold if it applies; else `message` is the error.

    Each is a function of the config or, in rules about data, of the config and the data set.
    """

    applies: Callable[..., bool]
    holds: Callable[..., bool]
    message: Callable[..., str]


def check_rules(rules: Iterable[Rule], *subject: Any) -> None:
    """Raises InputError with the message of the first rule that the subject breaks."""
    for rule in rules:
        if rule.applies(*subject) and not rule.holds(*subject):
            raise InputError(rule.message(*subject))


def always(*subject: Any) -> bool:
    """The condition of a rule without one."""
    return True


def explained_rule(applies: Callable[..., bool], explain: Callable[..., str | None]) -> Rule:
    """A rule that holds if `explain` returns None, and whose message it returns otherwise."""
    return Rule(
        applies, lambda *subject: explain(*subject) is None, lambda *subject: explain(*subject)
    )


def needs(
    path: str, values: Collection[object], other: str, allowed: Collection[object], why: str
) -> Rule:
    """A rule: if `path` is, or lists, one of `values`, then `other` must be one of `allowed`."""

    def message(config: Any) -> str:
        return (
            f"config.{path} = {matches(config, path, values)[0]!r}: doesn't fit config.{other} = "
            f"{value_of(config, other)!r}, which must be {join_values(allowed)}; {why}"
        )

    return Rule(
        lambda config: bool(matches(config, path, values)),
        lambda config: value_of(config, other) in (*allowed, "auto"),  # which is chosen to fit
        message,
    )


def matches(config: Any, path: str, values: Collection[object]) -> list[object]:
    """The entries of the field, or of the list of metrics, that are among the values."""
    is_list = path == "evaluation.metrics"
    entries = config.evaluation.metric_names if is_list else (value_of(config, path),)
    return [entry for entry in entries if entry in values]


def all_but(names: Iterable[str], *excluded: str) -> tuple[str, ...]:
    """The names without the excluded ones."""
    return tuple(name for name in names if name not in excluded)
