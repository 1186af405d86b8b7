"""Tables of published results as GitHub markdown."""

import statistics
from collections.abc import Mapping
from typing import Any

from benchmarks.machine import short_commit
from benchmarks.report import table
from vae_jax.config.published import Bar

NOT_RUN, REACHED = "not run", "yes"
HEADER = ("result", "number", "published", "bar", "ours", "spread", "bar reached")
RUN_HEADER = ("result", "command", "seeds", "hardware", "training", "metrics", "date", "commit")
SHORT_HEADER = ("result", "number", "published", "ours", "bars reached")
INTRODUCTION = """# Published results

This page is written by `python -m benchmarks.published_results write` from the configs in
`configs/published` and the results in `docs/results`. No number is typed. Each row is one config
and one command, which trains all of its seeds. The docstring of a config says where the file of
its data comes from. The model and its settings are chosen on the validation split, none of them on
the test split.

`python -m benchmarks.published_results keep WORKDIR` adds a finished run of the committed config,
and refuses a run of another one. `python -m vae_jax.main --list` shows the configs.

The spread is the standard deviation over seeds. A number without a spread is of one seed. A row
whose bar is missed says so, and its note says what was tried. Times are of machines that did other
work besides.
"""


def full_page(entries: Mapping[str, Any], kept: Mapping[str, Mapping[str, Any]]) -> str:
    """The page: numbers, how they were made, and notes."""
    numbers = [
        _cells(entry, bar, kept.get(name), first=bar is entry.row.bars[0])
        for name, entry in entries.items()
        for bar in entry.row.bars
    ]
    runs = [_run_cells(entry, kept.get(name)) for name, entry in entries.items()]
    notes = [
        f"- **{entry.row.title}** (`{entry.name}`). Source: {_sentence(entry.row.source)}"
        + (f" {entry.row.note}" if entry.row.note else "")
        for entry in entries.values()
    ]
    return "\n".join(
        [
            INTRODUCTION,
            "## Numbers\n",
            table(HEADER, numbers),
            "\n## Runs\n",
            table(RUN_HEADER, runs),
            "\n## Notes\n",
            *notes,
            "",
        ]
    )


def short_table(entries: Mapping[str, Any], kept: Mapping[str, Mapping[str, Any]]) -> str:
    """For each config that was run: its first number with a bar, and how many bars were reached.

    The variants of a config share a row, so a missed bar of any of them shows in the count.
    """
    rows: dict[str, list[tuple[str, ...]]] = {}
    for name, entry in entries.items():
        bars = [bar for bar in entry.row.bars if bar.is_reached(0.0) is not None]
        if name in kept and bars:
            cells = [_cells(entry, bar, kept[name], first=True) for bar in bars]
            rows.setdefault(entry.name.partition(":")[0], []).extend(cells)
    return table(SHORT_HEADER, [_short_cells(cells) for cells in rows.values()])


def _short_cells(cells: list[tuple[str, ...]]) -> tuple[str, ...]:
    title, quantity, published, _, ours, *_ = cells[0]
    count = sum(reached == REACHED for *_, reached in cells)
    return title, quantity, published, ours, f"{count} of {len(cells)}"


def describe_bar(bar: Bar) -> str:
    """The bar as text, empty if there is none."""
    if bar.at_least is not None and bar.at_least == bar.at_most:
        return f"= {bar.at_least:g}"
    parts = []
    if bar.at_least is not None:
        parts.append(f">= {bar.at_least:g}")
    if bar.at_most is not None:
        parts.append(f"<= {bar.at_most:g}")
    return ", ".join(parts)


def _cells(
    entry: Any, bar: Bar, result: Mapping[str, Any] | None, *, first: bool
) -> tuple[str, ...]:
    title = entry.row.title if first else ""
    start = (title, bar.quantity, bar.published, describe_bar(bar))
    if result is None:
        return (*start, NOT_RUN, "", "")
    values = values_of(bar, result)
    value = bar.summarize(values)
    ours = f"{value:.{bar.digits}f}" + (" (median)" if bar.by == "median" else "")
    spread = f"{statistics.stdev(values):.{bar.digits}f}" if len(values) > 1 else ""
    reached = {True: REACHED, False: "missed", None: ""}[bar.is_reached(value)]
    return (*start, ours, spread, reached)


def values_of(bar: Bar, result: Mapping[str, Any]) -> list[float]:
    """The value of each seed."""
    columns = result["numbers"]
    return [
        bar.value({path: columns[path][seed] for path in bar.paths()})
        for seed in range(len(result["seeds"]))
    ]


def _run_cells(entry: Any, result: Mapping[str, Any] | None) -> tuple[str, ...]:
    command = f"python -m vae_jax.main --config=published/{entry.name} {entry.row.flags}".strip()
    if result is None:
        return (entry.row.title, f"`{command}`", NOT_RUN, "", "", "", "", "")
    seconds = result["seconds"]
    return (
        entry.row.title,
        f"`{result['command'] or command}`",
        ", ".join(map(str, result["seeds"])),
        result["hardware"],
        format_duration(seconds["training"]),
        format_duration(seconds["metrics"]),
        result["started"][:10],
        short_commit(result),
    )


def format_duration(seconds: float) -> str:
    """A duration as text.

    >>> format_duration(42.4), format_duration(600), format_duration(9000)
    ('42 s', '10 min', '2.5 h')
    """
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7_200 else f"{seconds / 3600:.1f} h"


def _sentence(text: str) -> str:
    return text if text.endswith(".") else f"{text}."
