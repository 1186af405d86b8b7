"""Rounds of timed work in alternating order, and their medians."""

import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

Round = Mapping[str, float]  # "units" done in "seconds", and further numbers


def alternating(names: Iterable[str], rounds: int) -> Iterator[list[str]]:
    """The order of each round, forwards and backwards in turn, so that drift favors nobody."""
    names = list(names)
    for number in range(rounds):
        yield names[:: -1 if number % 2 else 1]


def measure(runners: Mapping[str, Callable[[], Round]], rounds: int) -> dict[str, list[Round]]:
    """All rounds of each runner, one runner at a time."""
    results: dict[str, list[Round]] = {name: [] for name in runners}
    for order in alternating(runners, rounds):
        for name in order:
            results[name].append(runners[name]())
    return results


def summary(rounds: list[Round]) -> dict[str, Any]:
    """The median rate in units per second, every rate, and the maximum of every other number."""
    rates = [r["units"] / r["seconds"] for r in rounds]
    rest = {
        key: max(r[key] for r in rounds) for key in rounds[0] if key not in ("units", "seconds")
    }
    return {"rate": statistics.median(rates), "rates": rates, **rest}
