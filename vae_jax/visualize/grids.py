"""Grids of examples with labeled rows: images, or curves for other data."""

import dataclasses
import textwrap
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

from vae_jax.visualize import pixels
from vae_jax.visualize.colors import BLUE
from vae_jax.visualize.files import DPI

LABEL_SIZE, TITLE_SIZE = 8, 10  # points
GAP, WIDE_GAP = 4, 18  # pixels between tiles, and between groups of them
MARGIN = 10  # pixels
LINE = 1.35  # height of a line of text, in font sizes
NO_BREAK = "\u00a0|\u00a0"  # ' | ' of p(x | z), where a line does not break
FRAME = 205  # gray of the frame around each image


@dataclasses.dataclass(frozen=True)
class Groups:
    """Wider gaps in a grid, and texts above its columns.

    Attributes:
      rows: numbers of the rows that begin a group.
      columns: numbers of the columns that begin a group.
      headers: texts by column; 3.5 is the middle of columns 3 and 4.
    """

    rows: Sequence[int] = ()
    columns: Sequence[int] = ()
    headers: Mapping[float, str] = dataclasses.field(default_factory=dict)


def image_rows(
    rows: Mapping[str, Any],
    title: str,
    *,
    names: bool = True,
    value_range: tuple[float, float] | None = None,
    groups: Groups | None = None,
) -> Figure:
    """A grid with a labeled row for each entry [N, *E]: images, or curves for other data.

    Each pixel of an image becomes a square of whole pixels of the figure; large images are reduced.
    Missing values, NaN, are hatched in images and gaps in curves.

    Args:
      rows: examples by label.
      title: title of the figure.
      names: show the labels.
      value_range: values that become black and white, or no and full color, in all rows alike. By
        default (0, 1) or (-1, 1), whichever holds all values, else the smallest and the largest.
      groups: wider gaps, and texts above columns.
    """
    arrays = {name: np.asarray(values, np.float32) for name, values in rows.items()}
    value_range = value_range or pixels.find_range(arrays.values())
    example = next(iter(arrays.values()))
    columns = max(len(values) for values in arrays.values())
    groups = groups or Groups()
    if pixels.is_image(example.shape[1:]):
        tiles, note = _tiles(list(arrays.values()), value_range)
        title += f" ({note})" if note else ""
    else:
        tiles = []
    height, width = tiles[0].shape[1:3] if tiles else (pixels.TILE, pixels.TILE)
    tops = _starts(len(arrays), height, groups.rows)
    lefts = _starts(columns, width, groups.columns)
    size = (lefts[-1] + width + GAP, tops[-1] + height + GAP)  # pixels
    axes = _make_axes(size, list(arrays) if names else [], title, bool(groups.headers))
    if tiles:
        axes.imshow(_compose(tiles, tops, lefts, size), interpolation="nearest", aspect="auto")
    else:
        _plot_curves(axes, list(arrays.values()), tops, lefts, value_range)
    axes.set(xlim=(-0.5, size[0] - 0.5), ylim=(size[1] - 0.5, -0.5))
    # Texts are several times faster than ticks.
    for label, top in zip(arrays if names else (), tops, strict=False):
        place = -6, top + height / 2
        axes.text(*place, label, ha="right", va="center", fontsize=LABEL_SIZE, parse_math=False)
    for column, header in groups.headers.items():
        center = float(np.interp(column, range(columns), lefts)) + width / 2
        style = {"ha": "center", "va": "bottom", "fontsize": LABEL_SIZE, "parse_math": False}
        axes.text(center, -4, header, **style)
    return axes.figure


def _tiles(
    rows: Sequence[np.ndarray], value_range: tuple[float, float]
) -> tuple[list[np.ndarray], str]:
    """Pixels [N, h, w, 3] of each row, in the size of the figure, and a note for the title."""
    tiles, note, is_hatched = [], "", False
    for images in rows:
        colors, note = pixels.to_rgb(pixels.reduce_size(images))
        tile = pixels.enlarge(pixels.to_bytes(colors, value_range))
        missing = np.isnan(colors).any(-1, keepdims=True)
        if missing.any():
            tile, is_hatched = pixels.hatch(tile, pixels.enlarge(missing)[..., 0]), True
        tiles.append(tile)
    return tiles, "; ".join(part for part in (note, "hatched: missing" * is_hatched) if part)


def _starts(count: int, size: int, wide: Sequence[int]) -> list[int]:
    """The first pixel of each of `count` tiles."""
    return [
        GAP + i * (size + GAP) + (WIDE_GAP - GAP) * sum(0 < first <= i for first in wide)
        for i in range(count)
    ]


def _compose(
    tiles: Sequence[np.ndarray], tops: Sequence[int], lefts: Sequence[int], size: tuple[int, int]
) -> np.ndarray:
    """One image of all tiles on white, each in a gray frame, so that white tiles have an edge."""
    canvas = np.full((size[1], size[0], 3), 255, np.uint8)
    for row, top in zip(tiles, tops, strict=True):
        height, width = row.shape[1:3]
        for tile, left in zip(row, lefts, strict=False):
            canvas[top - 1 : top + height + 1, left - 1 : left + width + 1] = FRAME
            canvas[top : top + height, left : left + width] = tile
    return canvas


def _plot_curves(
    axes: Axes,
    rows: Sequence[np.ndarray],
    tops: Sequence[int],
    lefts: Sequence[int],
    value_range: tuple[float, float],
) -> None:
    """Plot each flattened example as a curve, all on one scale."""
    low, high = value_range
    for values, top in zip(rows, tops, strict=True):
        for value, left in zip(values, lefts, strict=False):
            x = left + np.linspace(0, pixels.TILE, value.size)
            unit = (value.ravel() - low) / max(high - low, 1e-12)
            axes.plot(x, top + pixels.TILE * (1 - unit), linewidth=0.6, color=BLUE)


def _make_axes(size: tuple[int, int], labels: Sequence[str], title: str, has_headers: bool) -> Axes:
    """Axes of exactly `size` pixels, in a figure with room for labels and title."""
    left = MARGIN + max([text_width(text, LABEL_SIZE) + 8 for text in labels], default=0)
    width = max(left + size[0] + MARGIN, 480)
    title = wrap(title, TITLE_SIZE, width - 2 * MARGIN)
    header = round(LINE * _to_pixels(LABEL_SIZE)) + 4 if has_headers else 0
    top = MARGIN + round(LINE * _to_pixels(TITLE_SIZE)) * (1 + title.count("\n")) + header
    height = top + size[1] + MARGIN
    figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI)
    axes = figure.add_axes((left / width, MARGIN / height, size[0] / width, size[1] / height))
    axes.set_axis_off()
    axes.set_title(
        title,
        fontsize=TITLE_SIZE,
        x=(MARGIN - left) / size[0],
        y=1 + (header + 4) / size[1],
        ha="left",
        pad=0,
        parse_math=False,
    )
    return axes


def text_width(text: str, size: float) -> int:
    """The width of the longest line of a text, in pixels of a figure at `DPI`."""
    font = FontProperties(size=size)
    if not text.isascii():  # characters such as 中, which another font has, are as wide as an m
        text = "".join("m" if unicodedata.east_asian_width(char) in "WF" else char for char in text)
    widths = [
        text_to_path.get_text_width_height_descent(line, font, ismath=False)[0]
        for line in text.split("\n")
    ]
    return int(_to_pixels(max(widths))) + 1


def shorten(text: str, length: int) -> str:
    """At most `length` characters of one line of a text."""
    text = " ".join(text.split())
    return text if len(text) <= length else f"{text[: max(length - 1, 1)]}…"


def wrap(text: str, size: float, width: int) -> str:
    """Break the lines of a text so that each fits into `width` pixels, but none at ' | '."""
    lines = []
    text = text.replace(" | ", NO_BREAK)
    for line in text.split("\n"):
        chars = max(20, int(len(line) * width / text_width(line, size))) if line else 20
        parts = textwrap.wrap(line, chars)
        while chars > 20 and any(text_width(part, size) > width for part in parts):
            chars -= 1  # the characters of a part are wider than those of the line on average
            parts = textwrap.wrap(line, chars)
        lines += parts or [""]
    return "\n".join(lines).replace(NO_BREAK, " | ")


def _to_pixels(points: float) -> float:
    return points * DPI / 72
