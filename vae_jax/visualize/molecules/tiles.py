"""Grids of tiles with a structure each, or the text that is no molecule, and captions below."""

import dataclasses
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vae_jax.visualize.canvas import (
    MARGIN,
    SOFT,
    add_box,
    add_cells,
    add_text,
    cell_width,
    make_canvas,
    wrap_pixels,
)
from vae_jax.visualize.molecules.structures import add_structure, draw_structure

WIDTH, HEIGHT = 150, 112  # pixels of a tile
GAP, WIDE_GAP = 8, 16  # pixels between tiles, and above a block
ACROSS = 6  # tiles in a row
HEADER_SIZE, CAPTION_SIZE, TEXT_SIZE = 8.5, 7, 6.5  # points
HEADER, LINE, TEXT_LINE, BADGE = 18, 12, 11, 14  # pixels of a line
FRAME, GRAY_FACE = "#cdcdcd", "#ececec"
PADDING = 6  # pixels around text in a box
MARKED = 2.0  # points of a colored frame
EMPTY = "(empty)"


@dataclasses.dataclass(frozen=True)
class Tile:
    """A molecule to draw.

    Attributes:
      smiles: drawn if valid; else shown as text in a gray box, empty for None.
      captions: lines below.
      badge: short text at the top left.
      color: of the frame and the badge, if any.
      like: SMILES of a molecule to place common rings as in its drawing.
    """

    smiles: str | None
    captions: Sequence[str] = ()
    badge: str = ""
    color: str = ""
    like: str | None = None


@dataclasses.dataclass(frozen=True)
class Block:
    """Rows of tiles below a line of text, if any."""

    rows: Sequence[Sequence[Tile]]
    header: str = ""


def wrap_tiles(tiles: Sequence[Tile], across: int = ACROSS) -> list[list[Tile]]:
    """Rows of `across` tiles; the last may be shorter."""
    return [list(tiles[i : i + across]) for i in range(0, len(tiles), across)]


def tile_grid(blocks: Sequence[Block], title: str) -> Figure:
    """A figure of blocks of rows of tiles."""
    across = max([len(row) for block in blocks for row in block.rows], default=1)
    width = 2 * MARGIN + max(across, ACROSS) * (WIDTH + GAP) - GAP
    headers = [_wrap_header(block.header, width - 2 * MARGIN) for block in blocks]
    height = sum(
        HEADER * len(lines) + sum(map(_row_height, block.rows))
        for lines, block in zip(headers, blocks, strict=True)
    )
    axes, y = make_canvas(width, height + WIDE_GAP * max(len(blocks) - 1, 0), title)
    for lines, block in zip(headers, blocks, strict=True):
        for line in lines:
            add_text(axes, MARGIN, y, line, HEADER_SIZE, va="top", color=SOFT)
            y += HEADER
        for row in block.rows:
            for column, tile in enumerate(row):
                _add_tile(axes, MARGIN + column * (WIDTH + GAP), y, tile)
            y += _row_height(row)
        y += WIDE_GAP
    return axes.figure


def _row_height(row: Sequence[Tile]) -> int:
    return HEIGHT + LINE * max((len(tile.captions) for tile in row), default=0) + GAP


def _wrap_header(text: str, width: int) -> list[str]:
    return wrap_pixels(text, HEADER_SIZE, width) if text else []


def _add_tile(axes: Axes, x: float, y: float, tile: Tile) -> None:
    top = BADGE if tile.badge else 0
    strokes = draw_structure(tile.smiles, WIDTH, HEIGHT - top, tile.like) if tile.smiles else None
    add_box(
        axes,
        x,
        y,
        WIDTH,
        HEIGHT,
        face="none" if strokes is not None else GRAY_FACE,
        edge=tile.color or FRAME,
        line=MARKED if tile.color else 0.75,
    )
    if strokes is not None:
        add_structure(axes, strokes, x, y + top)
    else:
        _add_raw_text(
            axes, x, y + top, HEIGHT - top, EMPTY if tile.smiles == "" else tile.smiles or ""
        )
    if tile.badge:
        color = tile.color or SOFT
        add_text(axes, x + 5, y + 4, tile.badge, CAPTION_SIZE, va="top", color=color, weight="bold")
    for number, line in enumerate(tile.captions):
        place = x + WIDTH / 2, y + HEIGHT + 3 + LINE * number
        add_text(axes, *place, line, CAPTION_SIZE, ha="center", va="top")


def _add_raw_text(axes: Axes, x: float, y: float, height: float, text: str) -> None:
    per_line = int((WIDTH - 2 * PADDING) / cell_width(TEXT_SIZE))
    lines = break_text(text, per_line, int((height - 2 * PADDING) / TEXT_LINE))
    for number, line in enumerate(lines):
        baseline = y + PADDING + TEXT_LINE * number + 8
        add_cells(axes, x + PADDING, baseline, line, TEXT_SIZE, SOFT)


def break_text(text: str, per_line: int, num_lines: int) -> list[str]:
    """Lines of equal length, the last of which may say how many characters are left out."""
    lines = [text[i : i + per_line] for i in range(0, len(text), per_line)]
    if len(lines) <= num_lines:
        return lines
    hidden = len(text) - per_line * (num_lines - 1)
    return [*lines[: num_lines - 1], f"… {hidden} more characters"]
