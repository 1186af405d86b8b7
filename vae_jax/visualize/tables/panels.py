"""A grid of panels, one for each column of a table."""

import textwrap
from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vae_jax.evaluation.common import choose_examples
from vae_jax.evaluation.table_columns import NamedColumn
from vae_jax.visualize.files import DPI
from vae_jax.visualize.grids import shorten, text_width, wrap

MAX_PANELS = 30
MAX_EXAMINED = 256  # columns among which the panels are selected
WIDTH, HEIGHT = 2.45, 1.2  # inches of a panel with its margin, and of its axes
MIN_WIDTH = 7.2  # inches of a figure
LEFT, RIGHT = 0.45, 0.15  # margins of a panel
NAME, LABELS = 0.38, 0.3  # inches for the name above, and labels below, a panel
NAME_LINE, LABEL = 0.15, 0.17  # inches of a second line of the name, and of the name of an axis
TITLE_SIZE, NAME_SIZE, LABEL_SIZE = 10, 9, 7  # points
LINE = 0.2  # inches of a line of the title
LONGEST = 12  # characters of a category, horizontally or not


def make_panels(
    columns: Sequence[NamedColumn],
    title: str,
    *,
    texts: Sequence[Sequence[str]] = (),
    height: float = HEIGHT,
    left: float = LEFT,
    has_legend: bool = False,
    axis_names: tuple[str, str] = ("", ""),
) -> tuple[Figure, list[Axes]]:
    """A figure with a panel for each column, which has its name.

    Args:
      columns: the columns.
      title: of the figure; it is wrapped.
      texts: labels of categories below each panel; empty for a panel of numbers.
      height: inches of the axes.
      left: inches to the left of the axes.
      has_legend: leave a line below the title.
      axis_names: across and up, the same for all panels.
    """
    across = _num_across(len(columns))
    down = -(-len(columns) // across)
    width = max(across * WIDTH, MIN_WIDTH)
    panel = width / across
    left += LABEL if axis_names[1] else 0
    inner = panel - left - RIGHT
    names = [_wrap_name(column.name, inner) for column in columns]
    above = NAME + NAME_LINE * max([name.count("\n") for name in names], default=0)
    texts = [shorten_all(labels) for labels in texts] or [()] * len(columns)
    tilted = [not fits(labels, inner) for labels in texts]
    extra = []  # inches below each row of panels
    for row in range(down):
        rows = range(row * across, min((row + 1) * across, len(columns)))
        lengths = [label_inches(text) for n in rows if tilted[n] for text in texts[n]]
        labels = max([LABELS, *(length + 0.1 for length in lengths)])
        extra.append(labels + (LABEL if axis_names[0] else 0))
    title = wrap(title, TITLE_SIZE, int((width - 0.3) * DPI))
    top = 0.15 + LINE * (1 + title.count("\n")) + (0.22 if has_legend else 0)
    total = top + sum(above + height + below for below in extra) + 0.08
    figure = Figure(figsize=(width, total))
    axes_of = []
    for number in range(len(columns)):
        row, place = divmod(number, across)
        bottom = total - top - sum(above + height + below for below in extra[:row]) - above - height
        box = (place * panel + left) / width, bottom / total, inner / width, height / total
        axes = figure.add_axes(box)
        axes.set_title(names[number], fontsize=NAME_SIZE, parse_math=False)
        axes.set_xlabel(axis_names[0], fontsize=LABEL_SIZE, labelpad=2)
        axes.set_ylabel(axis_names[1], fontsize=LABEL_SIZE, labelpad=3)
        axes.tick_params(labelsize=LABEL_SIZE)
        axes.spines[["top", "right"]].set_visible(False)
        axes_of.append(axes)
    figure.text(0.15 / width, 1 - 0.1 / total, title, fontsize=TITLE_SIZE, va="top")
    return figure, axes_of


def _wrap_name(name: str, inches: float) -> str:
    """The name of a column on at most two lines above axes of this width, shortened if needed."""
    length = int(24 * inches / (WIDTH - LEFT - RIGHT))
    lines = textwrap.wrap(name, length, max_lines=2, placeholder="…")
    return "\n".join(lines)


def _num_across(num: int) -> int:
    """Panels in a row: of two widths the one that leaves fewer places empty."""
    most = 4 if num <= 12 else 5 if num <= 20 else 6
    return min(num, min((most, most - 1), key=lambda across: -num % across))


def label_categories(axes: Axes, texts: Sequence[str], axis: str = "x") -> None:
    """Label the positions 0, 1, ... of an axis, tilted if they need more room."""
    texts = shorten_all(texts)
    inches = axes.get_position().width * axes.figure.get_figwidth()
    set_ticks = axes.set_xticks if axis == "x" else axes.set_yticks
    rotation = 90 if axis == "x" and not fits(texts, inches) else 0
    set_ticks(range(len(texts)), texts, rotation=rotation, parse_math=False)
    axes.tick_params(axis=axis, length=0)


def fits(texts: Sequence[str], inches: float) -> bool:
    """True if the labels fit side by side."""
    if not texts:
        return True
    return max(map(label_inches, texts)) < 0.92 * inches / len(texts)


def shorten_all(texts: Sequence[str]) -> list[str]:
    """The labels of categories, each at most `LONGEST` characters."""
    return [shorten(text, LONGEST) for text in texts]


def label_inches(text: str) -> float:
    """The width of a label."""
    return text_width(text, LABEL_SIZE) / DPI if text else 0.0


def select_panels(
    num: int, distance: Callable[[int], float], reason: str
) -> tuple[np.ndarray, str]:
    """At most `MAX_PANELS` [M] of `num` columns, ascending, and a text that says which.

    Of more columns those with the largest distance are selected, among at most `MAX_EXAMINED`
    random ones. The text is "" if all are. `reason` completes 'the 30 of 200 columns'.
    """
    if num <= MAX_PANELS:
        return np.arange(num), ""
    index = choose_examples(num, MAX_EXAMINED)
    values = np.nan_to_num([distance(int(number)) for number in index], nan=-1.0)
    order = np.argsort(-values, kind="stable")[:MAX_PANELS]
    text = f"the {MAX_PANELS} of {num:,} columns {reason}"
    text += f", among {MAX_EXAMINED} random ones" if len(index) < num else ""
    return np.sort(index[order]), text
