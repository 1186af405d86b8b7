"""Docstrings as they are written: plain text, indented formulas, single backticks."""

import itertools
import re
from collections.abc import Iterator
from typing import Any

_MARKUP = re.compile(r"(``.+?``|`[^`]+`)|([*|\\])|(?<=\w)(_)(?!\w)")
_LETTER = re.compile(r"(^|: )(\w{1,2})([.)](?:\s|$))")  # would begin a list: "beta_weight: b."
_COLUMNS = re.compile(r"\S {2,}\S")  # "name    text", aligned


def escape(line: str) -> str:
    """The line without markup of reStructuredText, except in backticks."""
    line = _MARKUP.sub(lambda match: match[1] or "\\" + match[0], line)
    indent = line[: _indent(line)]
    return indent + _LETTER.sub(r"\1\2\\\3", line.strip())


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _paragraph(lines: list[str], index: int) -> list[str]:
    """The lines from here to the next blank one."""
    return list(itertools.takewhile(str.strip, lines[index:]))


def _literal(lines: list[str], index: int, base: int) -> list[str]:
    """The lines of a block that stays as it is, [] if none begins here.

    An example, the block after "::", an indented formula, or aligned columns.
    """
    line = lines[index]
    paragraph = _paragraph(lines, index)
    if line.lstrip().startswith(">>>"):
        return paragraph
    if index and lines[index - 1].strip():
        return []
    if _indent(line) >= base + 4:
        block = itertools.takewhile(
            lambda line: not line.strip() or _indent(line) > base, lines[index:]
        )
        return list(block)
    return paragraph if len(paragraph) > 1 and _COLUMNS.search(line.strip()) else []


def convert(lines: list[str]) -> Iterator[str]:
    """The lines with formulas and columns as literal blocks, and all other text escaped."""
    base, index = 0, 0
    while index < len(lines):
        line = lines[index]
        block = _literal(lines, index, base) if line.strip() else []
        if block:
            is_marked = line.lstrip().startswith(">>>") or lines[max(index - 2, 0)].endswith("::")
            yield from () if is_marked else (" " * base + "::", "")
            shift = "    " if not is_marked and _indent(line) == base else ""
            yield from (shift + line for line in block)
            yield ""
        else:
            base = _indent(line) if line.strip() else base
            yield escape(line)
        index += max(len(block), 1)


def process(app: Any, kind: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    """Convert the docstring of one object, in place."""
    lines[:] = list(convert(lines))


def setup(app: Any) -> dict[str, Any]:
    """Convert docstrings before their sections are read."""
    app.connect("autodoc-process-docstring", process, priority=100)
    return {"parallel_read_safe": True}
