"""Formatting: values with a sensible number of digits, and trees of numbers as tables."""

import math
from collections.abc import Mapping
from typing import Any

from vae_jax.experiment.metrics.headlines import headline_entries, stderr_of
from vae_jax.experiment.report.meanings import MEANINGS, label, title, unit
from vae_jax.experiment.report.page import Block, heading, note, paragraph, table

MINUS = "−"
MISSING = "not finite"
MAX_DIGITS = 8
HUGE = 1e9  # numbers of more digits are written with an exponent
TINY = 1e-3  # likewise numbers below, if their error has more digits than `MAX_DIGITS`
MAX_COLUMNS = 8  # of a table of branches; more numbers than that become its rows
MAX_ENTRIES = 16  # longer lists are omitted
_NOT_IN_TABLES = (
    "failed",
    "estimator",
    "data",
    "seconds",
    "verdict",
    "evidence",
    "remedy",
    "scores_file",
)


def format_value(value: Any, stderr: Any = None) -> str:
    """A value, ± its standard error if known, with the digits that the error justifies."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        has_errors = isinstance(stderr, list | tuple) and len(stderr) == len(value)
        errors = stderr if has_errors else [None] * len(value)
        return ", ".join(map(format_value, value, errors))
    if isinstance(value, Mapping):
        return "; ".join(f"{key}: {format_value(entry)}" for key, entry in value.items())
    if isinstance(value, str):
        return value
    if value is None or (isinstance(value, int | float) and not is_number(value)):
        return MISSING
    if not is_number(value):
        return str(value)
    if is_number(stderr) and stderr > 0:
        digits = max(1 - math.floor(math.log10(stderr)), 0)
        is_tiny = digits > MAX_DIGITS and abs(value) < TINY
        if is_tiny or max(abs(value), stderr) >= HUGE:
            return f"{_round(value)} ± {_round(stderr)}".replace("-", MINUS, int(value < 0))
        digits = min(digits, MAX_DIGITS)
        text = f"{value:,.{digits}f} ± {stderr:.{digits}f}"
    else:
        text = f"{value:,}" if isinstance(value, int) else _round(value)
    return MINUS + text[1:] if text.startswith("-") else text


def _round(value: float) -> str:
    """Four digits, or three and an exponent."""
    if value == 0:
        return "0"
    size = math.floor(math.log10(abs(value)))
    if size < -5 or abs(value) >= HUGE:
        return f"{value:.3g}"
    if size < 2:
        return f"{value:,.{3 - size}f}"
    return f"{value:,.2f}" if size < 4 else f"{value:,.0f}"


def is_number(value: Any) -> bool:
    """True for finite numbers, but not for booleans."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) < 1e300  # false for NaN


def format_entry(key: str, numbers: Mapping[str, Any], *, has_unit: bool = False) -> str:
    """A number ± its standard error, with its unit on request; empty if missing."""
    if key not in numbers:
        return ""
    text = format_value(numbers[key], stderr_of(key, numbers))
    return f"{text} {unit(key)}".strip() if has_unit and numbers[key] is not None else text


def headlines(metric: str, numbers: Mapping[str, Any]) -> dict[str, str]:
    """The headline numbers of a metric with their errors, by their name for readers."""
    columns = {}
    for path, value, stderr in headline_entries(metric, numbers):
        name = ", ".join(map(label, path[::-1]))
        suffix = f" ({unit(path[-1])})" if unit(path[-1]) else ""
        columns[f"{title(metric)}: {name}{suffix}"] = format_value(value, stderr)
    return columns


def number_blocks(numbers: Mapping[str, Any], *, level: int = 3) -> list[Block]:
    """Any tree of numbers: a table for each branch, with estimator, errors and meanings."""
    blocks = []
    if "failed" in numbers:
        blocks.append(note(f"This could not be measured: {numbers['failed']}"))
    if {"verdict", "evidence"} <= numbers.keys():
        blocks.append(paragraph(f"{numbers['verdict']}: {numbers['evidence']}"))
    sources = [numbers.get(key) for key in ("estimator", "data")]
    about = " ".join(_sentence(text) for text in sources if text and isinstance(text, str))
    if about:
        blocks.append(paragraph(about, "soft"))
    keys = [key for key in numbers if _is_row(key, numbers)]
    if keys:
        blocks.append(_number_table(keys, numbers))
    for key, branch in numbers.items():
        if isinstance(branch, Mapping) and branch:
            blocks += [heading(label(key), level), *_branch_blocks(branch, level)]
    if "seconds" in numbers:
        blocks.append(paragraph(f"Computed in {format_value(numbers['seconds'])} s.", "soft"))
    return blocks


def _number_table(keys: list[str], numbers: Mapping[str, Any]) -> Block:
    rows = []
    for key in keys:
        meaning = MEANINGS[key].text if key in MEANINGS else ""
        rows.append((label(key), format_entry(key, numbers, has_unit=True), meaning))
    num_columns = 3 if any(meaning for _, _, meaning in rows) else 2
    head = ("", "Value", "Meaning")[:num_columns]
    return table(head, [row[:num_columns] for row in rows], "meanings")


def _branch_blocks(branches: Mapping[str, Any], level: int) -> list[Block]:
    """One table if all branches have the same numbers, else a table for each."""
    first, *rest = branches.values()
    is_uniform = rest and all(
        isinstance(branch, Mapping) and branch.keys() == first.keys() for branch in (first, *rest)
    )
    if not is_uniform or any(isinstance(v, Mapping) or _is_long(v) for v in first.values()):
        return number_blocks(branches, level=min(level + 1, 6))
    columns = [key for key in first if not _is_stderr(key, first)]
    if len(columns) > max(MAX_COLUMNS, len(branches)):
        return [_wide_table(columns, branches)]
    rows = [
        (label(name), *(format_entry(key, branch) for key in columns))
        for name, branch in branches.items()
    ]
    return [table(("", *map(label, columns)), rows)]


def _wide_table(keys: list[str], branches: Mapping[str, Any]) -> Block:
    """A row for each number, with its meaning, and a column for each branch."""
    rows = [
        (
            label(key),
            *(format_entry(key, branch, has_unit=True) for branch in branches.values()),
            MEANINGS[key].text if key in MEANINGS else "",
        )
        for key in keys
    ]
    return table(("", *map(label, branches), "Meaning"), rows, "meanings")


def _is_row(key: str, numbers: Mapping[str, Any]) -> bool:
    value = numbers[key]
    is_plain = not isinstance(value, Mapping) and not _is_long(value)
    return is_plain and key not in _NOT_IN_TABLES and not _is_stderr(key, numbers)


def _is_stderr(key: str, numbers: Mapping[str, Any]) -> bool:
    return "_stderr" in key and key.replace("_stderr", "", 1) in numbers


def _is_long(value: Any) -> bool:
    if not isinstance(value, list | tuple):
        return False
    return len(value) > MAX_ENTRIES or any(isinstance(entry, Mapping | list) for entry in value)


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."
