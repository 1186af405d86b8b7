"""Rows of the table of published results: the bars of the configs in `configs/published`."""

import dataclasses
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from vae_jax.errors import InputError, check_choice

SUMMARIES: dict[str, Callable[[Sequence[float]], float]] = {
    "mean": statistics.fmean,
    "median": statistics.median,
}


@dataclasses.dataclass(frozen=True)
class Bar:
    """A number in the results of a run, its published value, and the bar for ours.

    Attributes:
      quantity: what the number is, with its unit.
      path: its keys in `results.json`, joined by "/", such as "metrics/likelihood/log_likelihood".
      published: the published number as text; empty if there is none.
      at_most: the largest value that reaches the bar; None: no bar.
      at_least: the smallest value that does.
      factor: the number is multiplied by it, -1 for a negative log-likelihood.
      minus: path of a number that is subtracted first; empty: none.
      by: summary over seeds, mean or median.
      digits: digits after the point.
    """

    quantity: str
    path: str
    published: str = ""
    at_most: float | None = None
    at_least: float | None = None
    factor: float = 1.0
    minus: str = ""
    by: str = "mean"
    digits: int = 2

    def paths(self) -> tuple[str, ...]:
        """The paths that `value` reads."""
        return (self.path, self.minus) if self.minus else (self.path,)

    def value(self, numbers: Mapping[str, Any]) -> float:
        """The number of one run, from the numbers by path."""
        number = numbers[self.path] - (numbers[self.minus] if self.minus else 0.0)
        return self.factor * number

    def summarize(self, values: Sequence[float]) -> float:
        """The mean or median of the values of several seeds."""
        return SUMMARIES[check_choice("by", self.by, SUMMARIES)](values)

    def is_reached(self, value: float) -> bool | None:
        """True if the value reaches the bar, None if there is no bar."""
        if self.at_most is None and self.at_least is None:
            return None
        above = self.at_least is None or value >= self.at_least
        return above and (self.at_most is None or value <= self.at_most)


@dataclasses.dataclass(frozen=True)
class Row:
    """One result: a variant of a config, its bars and where the published numbers come from.

    Attributes:
      title: model and data.
      bars: what it has to reach.
      source: paper or repository of the published numbers, and how sure they are.
      flags: flags of the command that follow the name of the config, such as the place of the data.
      note: how the setting differs from the published one, and what was tried if a bar was missed.
    """

    title: str
    bars: tuple[Bar, ...]
    source: str
    flags: str = ""
    note: str = ""


def check_variant(variant: str, rows: Mapping[str, Row]) -> None:
    """Raise InputError if the config has no row of that variant."""
    if variant not in rows:
        names = [name for name in rows if name]
        allowed = f"allowed are {', '.join(names)}, or none" if names else "it has none"
        raise InputError(f"variant {variant!r} of the config: unknown; {allowed}")


def read_number(results: Mapping[str, Any], path: str) -> float:
    """The number at a path of keys joined by "/"; a key may contain "/" itself.

    Raises:
      InputError: there is no number.

    >>> read_number({"test": {"kl/0": 0.5}}, "test/kl/0")
    0.5
    """
    value = _find(results, path)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InputError(f"path = {path!r}: the results have no such number")
    return float(value)


def _find(results: Any, path: str) -> Any:
    if not isinstance(results, Mapping):
        return None
    if path in results:
        return results[path]
    parts = path.split("/")
    for end in range(1, len(parts)):
        found = _find(results.get("/".join(parts[:end])), "/".join(parts[end:]))
        if found is not None:
            return found
    return None
