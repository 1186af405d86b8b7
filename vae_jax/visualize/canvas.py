"""Canvases in CSS pixels for figures of text and structures, and text in cells of equal width."""

import functools
import re
import unicodedata
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.patches import PathPatch, Rectangle
from matplotlib.path import Path
from matplotlib.text import Text
from matplotlib.textpath import text_to_path

from vae_jax.visualize.files import DPI
from vae_jax.visualize.grids import text_width, wrap

CSS_DPI = 96  # pixels of a canvas per inch
FINE_DPI = 2 * CSS_DPI  # thin lines and small text need a PNG of two pixels each way for one
MARGIN = 10  # pixels
TITLE_SIZE = 10  # points
TITLE_LINE = 18  # pixels
HINTED = 0.95  # of the room is used, for characters are drawn wider than they are measured
INK, SOFT = "#000000", "#666666"
MONOSPACED = FontProperties(family="DejaVu Sans Mono")  # comes with matplotlib
ADVANCE = 0.60205  # width of a cell, in font sizes
UNKNOWN = "\ufffd"  # stands for a character that the font lacks
TAB = "⇥"


def make_canvas(width: float, height: float, title: str) -> tuple[Axes, float]:
    """Axes in pixels from the top left, with a title above `height` pixels, and the place of these.

    The title is wrapped. Returns the axes and the y of the first pixel below the title.
    """
    lines = wrap_pixels(title, TITLE_SIZE, width - 2 * MARGIN)
    top = MARGIN + TITLE_LINE * len(lines) + 4
    total = top + height + MARGIN
    figure = Figure(figsize=(width / CSS_DPI, total / CSS_DPI), dpi=FINE_DPI)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set(xlim=(0, width), ylim=(total, 0))
    for number, line in enumerate(lines):
        add_text(axes, MARGIN, MARGIN + TITLE_LINE * number, line, TITLE_SIZE, va="top")
    return axes, top


def add_text(axes: Axes, x: float, y: float, text: str, size: float, **options: Any) -> None:
    """Write text without mathematics: a dollar is a dollar."""
    axes.text(x, y, text, fontsize=size, parse_math=False, **options)


def text_pixels(text: str, size: float) -> float:
    """The width of the longest line of a text in pixels of a canvas."""
    return text_width(text, size) * CSS_DPI / DPI if text else 0.0


def wrap_pixels(text: str, size: float, width: float) -> list[str]:
    """The lines of a text, broken so that each fits into pixels of a canvas."""
    return wrap(text, size, int(width * HINTED * DPI / CSS_DPI)).split("\n")


def cell_width(size: float) -> float:
    """The width of a character of `size` points in `add_cells`, in pixels."""
    return ADVANCE * size * CSS_DPI / 72


def add_cells(
    axes: Axes, x: float, baseline: float, text: str, size: float, color: str = INK
) -> None:
    """Write text with each character in a cell of the same width.

    Characters that the font lacks are replaced, see `printable`.
    """
    text = printable(text)
    if text.strip():
        axes.add_artist(_Cells(x, baseline, text, size, color))


class _Cells(PathPatch):
    """Outlines of characters in pixels, and words as text in vector formats.

    In pixels, matplotlib would round the width of each character of a text, so that the 100th would
    be off by several characters.
    """

    def __init__(self, x: float, baseline: float, text: str, size: float, color: str) -> None:
        step, scale = cell_width(size), size * CSS_DPI / 72
        glyphs = [
            Path(outline.vertices * (scale, -scale) + (x + i * step, baseline), outline.codes)
            for i, char in enumerate(text)
            if (outline := _outline(char)) is not None
        ]
        outlines = Path.make_compound_path(*glyphs)
        super().__init__(outlines, facecolor=color, linewidth=0, snap=False)
        self._words = [
            (x + word.start() * step, baseline, word.group()) for word in re.finditer(r"\S+", text)
        ]
        font = FontProperties(family=MONOSPACED.get_family(), size=size)
        self._style = {"color": color, "fontproperties": font, "parse_math": False}

    def draw(self, renderer: Any) -> None:
        if hasattr(renderer, "buffer_rgba"):
            super().draw(renderer)
            return
        for x, y, word in self._words:
            text = Text(x, y, word, **self._style)
            text.set_figure(self.get_figure())
            text.set_transform(self.axes.transData)
            text.draw(renderer)


def add_box(
    axes: Axes,
    x: float,
    y: float,
    width: float,
    height: float,
    *,
    face: str = "none",
    edge: str = "none",
    line: float = 0.75,
) -> None:
    """A rectangle of pixels; `line` is the width of its edge in points."""
    axes.add_artist(
        Rectangle(
            (x, y),
            width,
            height,
            facecolor=face,
            edgecolor=edge,
            linewidth=line if edge != "none" else 0,
        )
    )


def printable(text: str) -> str:
    """The text with the sign � for characters that the font lacks, and for those without width."""
    return "".join(_printable(char) for char in text)


@functools.lru_cache(maxsize=4096)
def _printable(char: str) -> str:
    char = TAB if char == "\t" else char
    is_shown = char == " " or (char.isprintable() and ord(char) in _characters())
    return char if is_shown and not unicodedata.combining(char) else UNKNOWN


@functools.cache
def _characters() -> frozenset[int]:
    return frozenset(get_font(findfont(MONOSPACED)).get_charmap())


@functools.lru_cache(maxsize=4096)
def _outline(char: str) -> Path | None:
    """The outline of a character at a size of 1, y up; None for a space."""
    vertices, codes = text_to_path.get_text_path(MONOSPACED, char, ismath=False)
    vertices = np.asarray(vertices, float) / text_to_path.FONT_SCALE
    return Path(vertices.reshape(-1, 2), codes) if len(vertices) else None
