"""Heat maps with named rows and columns, readable for 3 and for 60 of them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from vae_jax.visualize.files import DPI
from vae_jax.visualize.grids import shorten, text_width

UNDEFINED = "#d9d9d9"
LABEL_SIZE, MIN_SIZE = 8.0, 5.5  # points
LONGEST = 22  # characters of a name
POINTS = 72  # in an inch


def plot_heat_map(
    axes: Axes,
    values: np.ndarray,
    *,
    across: Sequence[str] = (),
    down: Sequence[str] = (),
    digits: int | None = None,
    **options: Any,
) -> Any:
    """Plot values [R, C] as colored cells, gray if undefined, and label rows and columns.

    Labels get smaller, and then every second or third is left out, where there is no room. Cells
    show their value with `digits`, if they have room for it. Returns the image, for a color bar.
    """
    axes.set_facecolor(UNDEFINED)
    image = axes.imshow(np.ma.masked_invalid(values), aspect="auto", **options)
    figure = axes.figure
    box = axes.get_position()
    cell = (
        box.width * figure.get_figwidth() * POINTS / max(values.shape[1], 1),
        box.height * figure.get_figheight() * POINTS / max(values.shape[0], 1),
    )
    _label(axes.set_xticks, across, cell[0], rotation=90)
    _label(axes.set_yticks, down, cell[1])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    if digits is not None and cell[0] >= 21 and cell[1] >= 9:
        _write(axes, values, image, digits)
    return image


def label_size(cell: float) -> tuple[float, int]:
    """The font size of labels in cells of this height in points, and the step between them."""
    size = min(LABEL_SIZE, max(0.85 * cell, MIN_SIZE))
    return size, max(1, int(np.ceil(1.1 * size / max(cell, 1e-6))))


def names_width(names: Sequence[str]) -> float:
    """The room that labels need, in inches."""
    texts = [shorten(name, LONGEST) for name in names] or [""]
    return max(text_width(text, LABEL_SIZE) if text else 0 for text in texts) / DPI + 0.08


def _label(set_ticks: Any, names: Sequence[str], cell: float, **options: Any) -> None:
    size, step = label_size(cell)
    places = range(0, len(names), step)
    texts = [shorten(names[place], LONGEST) for place in places]
    set_ticks(places, texts, fontsize=size, parse_math=False, **options)


def _write(axes: Axes, values: np.ndarray, image: Any, digits: int) -> None:
    colors = image.cmap(image.norm(np.nan_to_num(values)))
    for row, column in zip(*np.nonzero(np.isfinite(values)), strict=True):
        is_dark = colors[row, column, :3] @ (0.299, 0.587, 0.114) < 0.5
        text = f"{values[row, column]:.{digits}f}".replace("-", "−")
        text = text.removeprefix("−") if not text.strip("−0.") else text
        axes.text(
            column,
            row,
            text,
            ha="center",
            va="center",
            fontsize=6,
            color="white" if is_dark else "black",
        )
