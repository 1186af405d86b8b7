"""Lines of text in cells of equal width, with marks where they differ from another line."""

import dataclasses
import difflib
from collections.abc import Iterable, Sequence
from typing import TypeVar

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vae_jax.visualize.canvas import (
    INK,
    MARGIN,
    SOFT,
    TAB,
    UNKNOWN,
    add_box,
    add_cells,
    add_text,
    cell_width,
    make_canvas,
    printable,
    text_pixels,
)

WIDTH, MIN_WIDTH = 980, 600  # pixels of a figure
SIZE, LABEL_SIZE, HEADER_SIZE = 8, 8, 8.5  # points
LINE, HEADER = 17, 15  # pixels of a line, and of a header
GAP, HEADER_GAP = 8, 16  # pixels above a block, and above one with a header
MIN_CHARACTERS = 40  # of a line, however long its label and note
DOT, PALE = "·", "#999999"  # in place of a space at an end
MISSING, ADDED = "#cfe0f5", "#f9d0ca"  # behind characters that are missing below, or new there
EMPTY = "(empty)"
NONE: frozenset[int] = frozenset()
T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class Line:
    """A line of text to show.

    Attributes:
      text: shown up to the room that there is; the number of characters left out follows.
      label: on the left.
      note: behind the text.
      marked: numbers of the characters to highlight.
      color: behind these.
      is_soft: write the text in gray, as what is given beside what is decoded.
    """

    text: str
    label: str = ""
    note: str = ""
    marked: frozenset[int] = NONE
    color: str = ADDED
    is_soft: bool = False


@dataclasses.dataclass(frozen=True)
class Lines:
    """Lines that belong together, below a header, if any."""

    lines: Sequence[Line]
    header: str = ""


def text_reconstructions(
    originals: Sequence[str], decoded: Sequence[str], description: str = "", *, num: int = 16
) -> Figure:
    """Lines above what their codes decode to, the first `num`; the title counts all.

    Characters that are missing below, and those that are there instead, are marked.
    """
    blocks = []
    for original, text in list(zip(originals, decoded, strict=True))[:num]:
        missing, added = differences(original, text)
        note = "equal" if original == text else ""
        above = Line(original, "data", "", missing, MISSING)
        blocks.append(Lines([above, Line(text, "decoded", note, added)]))
    num_equal = sum(a == b for a, b in zip(originals, decoded, strict=True))
    title = "Test lines above their reconstructions" + (f", {description}" if description else "")
    title += f": {num_equal:,} of {len(originals):,} are equal"
    title += f"; the first {num} are shown" if len(originals) > num else ""
    return line_blocks(blocks, title)


def text_samples(
    lines: Sequence[str], title: str = "Samples", *, data: Sequence[str] = ()
) -> Figure:
    """Lines, and some lines of the data below."""
    blocks = [Lines([Line(text) for text in lines])]
    if data:
        blocks.append(Lines([Line(text, is_soft=True) for text in data], "Lines of the data:"))
    return line_blocks(blocks, title)


def text_paths(
    paths: Sequence[Sequence[str]],
    title: str,
    *,
    labels: Sequence[str],
    headers: Sequence[str] = (),
    ends: Sequence[tuple[str, str]] = (),
) -> Figure:
    """The lines that codes of each path [P] decode to; equal lines in a row are shown once.

    Characters that the line above, in the same path, does not have are marked.

    Args:
      paths: decoded lines.
      title: of the figure.
      labels: of the P points.
      headers: above each path.
      ends: lines of the data to show above and below each path.
    """
    blocks = []
    for number, path in enumerate(paths):
        lines: list[Line] = []
        previous: str | None = None
        for text, first, last in merge_runs(path):
            label = labels[first] if first == last else f"{labels[first]} … {labels[last]}"
            added = NONE if previous is None else differences(previous, text)[1]
            lines.append(Line(text, label, "", added, MISSING))
            previous = text
        if ends:
            start, end = ends[number]
            lines = [Line(start, "data", is_soft=True), *lines, Line(end, "data", is_soft=True)]
        blocks.append(Lines(lines, headers[number] if headers else ""))
    return line_blocks(blocks, title)


def differences(first: str, second: str) -> tuple[frozenset[int], frozenset[int]]:
    """Numbers of the characters of each line that the other, aligned to it, does not have.

    >>> [sorted(numbers) for numbers in differences("CCO", "CNCO")]
    [[], [1]]
    """
    missing: set[int] = set()
    added: set[int] = set()
    matcher = difflib.SequenceMatcher(None, first, second, autojunk=False)
    for kind, start, stop, other_start, other_stop in matcher.get_opcodes():
        if kind != "equal":
            missing |= set(range(start, stop))
            added |= set(range(other_start, other_stop))
    return frozenset(missing), frozenset(added)


def merge_runs(texts: Sequence[T]) -> list[tuple[T, int, int]]:
    """(text, first index, last index) of each run of equal texts.

    >>> merge_runs(["C", "C", "O", "C"])
    [('C', 0, 1), ('O', 2, 2), ('C', 3, 3)]
    """
    runs: list[tuple[T, int, int]] = []
    for index, text in enumerate(texts):
        if runs and runs[-1][0] == text:
            runs[-1] = (text, runs[-1][1], index)
        else:
            runs.append((text, index, index))
    return runs


def line_blocks(blocks: Sequence[Lines], title: str) -> Figure:
    """A figure of lines of text, which says if the font lacks any of its characters."""
    lines = [line for block in blocks for line in block.lines]
    signs = _explain_signs([line.text for line in lines])
    title = "; ".join([title, *signs])
    left = max([text_pixels(line.label, LABEL_SIZE) for line in lines], default=0.0)
    left = MARGIN + (left + 10 if left else 0)
    right = max([text_pixels(line.note, LABEL_SIZE) + 12 for line in lines if line.note], default=0)
    num_cells = max(int((WIDTH - left - right - MARGIN) / cell_width(SIZE)), MIN_CHARACTERS)
    longest = min(max([len(line.text) for line in lines], default=0), num_cells)
    width = left + longest * cell_width(SIZE) + right + MARGIN
    width = min(max(width, MIN_WIDTH), WIDTH)
    height = sum(len(block.lines) * LINE + HEADER * bool(block.header) for block in blocks)
    gaps = [0, *(HEADER_GAP if block.header else GAP for block in blocks[1:])]
    axes, y = make_canvas(width, height + sum(gaps), title)
    for block, gap in zip(blocks, gaps, strict=False):
        y += gap
        if block.header:
            add_text(axes, MARGIN, y, block.header, HEADER_SIZE, va="top", color=SOFT)
            y += HEADER
        for line in block.lines:
            _add_line(axes, left, y, line, num_cells)
            y += LINE
    return axes.figure


def _add_line(axes: Axes, x: float, y: float, line: Line, num_cells: int) -> None:
    baseline = y + 0.72 * LINE
    step = cell_width(SIZE)
    if line.label:
        add_text(axes, x - 10, baseline, line.label, LABEL_SIZE, ha="right", color=SOFT)
    shown, rest = truncate(line, num_cells)
    for first, last in _spans(number for number in line.marked if number < len(shown)):
        add_box(axes, x + first * step, y + 1, (last - first + 1) * step, LINE - 2, face=line.color)
    color = SOFT if line.is_soft or not line.text else INK
    add_cells(axes, x, baseline, shown or EMPTY, SIZE, color)
    add_cells(axes, x, baseline, mark_outer_spaces(shown), SIZE, PALE)
    x += (len(shown or EMPTY) + 1) * step
    if rest:
        add_cells(axes, x, baseline, rest, SIZE, SOFT)
        x += (len(rest) + 1) * step
    add_text(axes, x, baseline, line.note, LABEL_SIZE, color=SOFT)


def truncate(line: Line, num_cells: int) -> tuple[str, str]:
    """The characters that are shown of a line, and a text about the others.

    The text says how many there are, and how many of them are marked.
    """
    if len(line.text) <= num_cells:
        return line.text, ""
    size = len(line.text)
    shown = line.text[: num_cells - len(f" … +{size} characters, {size} marked")]
    num_marked = sum(number >= len(shown) for number in line.marked)
    rest = f"… +{size - len(shown)} characters"
    return shown, rest + (f", {num_marked} marked" if num_marked else "")


def mark_outer_spaces(text: str) -> str:
    """A dot at each space before the first and after the last character, and spaces elsewhere."""
    inner = text.strip(" ")
    first = text.find(inner) if inner else len(text)
    last = first + len(inner)
    return DOT * first + " " * len(inner) + DOT * (len(text) - last)


def _spans(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """Runs of consecutive numbers, (first, last)."""
    spans: list[tuple[int, int]] = []
    for number in sorted(numbers):
        if spans and spans[-1][1] == number - 1:
            spans[-1] = (spans[-1][0], number)
        else:
            spans.append((number, number))
    return spans


def _explain_signs(texts: Sequence[str]) -> list[str]:
    """The meaning of the signs that replace characters."""
    explanations = [f"{TAB}: tab"] if any("\t" in text for text in texts) else []
    if any(text != text.strip(" ") for text in texts):
        explanations.append(f"{DOT}: space at an end")
    if any(UNKNOWN in printable(text) for text in texts):
        explanations.append(f"{UNKNOWN}: a character that the font of this figure lacks")
    return explanations
