"""Association between the columns of a table, in the data and in samples."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from vae_jax.evaluation.association import MIN_ROWS, Associations
from vae_jax.evaluation.table_columns import NamedColumn
from vae_jax.visualize.files import DPI
from vae_jax.visualize.grids import wrap
from vae_jax.visualize.tables.heat_map import names_width, plot_heat_map

MAX_SHOWN = 60  # columns
SIDE = (1.9, 4.6)  # smallest and largest side of a map, inches
CELL = 0.3  # inches, if there is room
GAP, BAR = 0.15, 0.12  # inches between maps, and of the color bar
COLORS = "RdBu_r", "PuOr_r"  # of associations, and of differences
SMALLEST = 0.1  # the scale of differences reaches at least this far


def associations(
    maps: Associations,
    columns: Sequence[NamedColumn],
    *,
    train: float | None = None,
    num_columns: int | None = None,
) -> Figure:
    """Maps of the association of each pair of columns: data, samples, and their difference.

    The title has the mean absolute difference over all pairs, with that of independent columns, and
    that of training rows in place of samples, which an exact model would have. Of more than
    `MAX_SHOWN` columns those whose associations differ most are shown.

    Args:
      maps: see `evaluation.association`.
      columns: the columns, named on both axes.
      train: the mean absolute difference between training rows and the data.
      num_columns: columns of the table, if `columns` are a random choice of them.
    """
    change = maps.samples - maps.data
    shown = _select(np.abs(change))
    names = [columns[number].name for number in shown]
    side = float(np.clip(CELL * len(shown), *SIDE))
    room = names_width(names)
    size = (room + 3 * side + 2 * GAP + 2 * (BAR + 0.5), side + room + 1.05)
    size = (max(size[0], 8.2), size[1])
    title = wrap(
        _title(maps, train, len(shown), num_columns or len(columns)), 10, int((size[0] - 0.3) * DPI)
    )
    top = 0.5 + 0.2 * (1 + title.count("\n"))
    size = (size[0], side + room + top + 0.1)
    figure = Figure(figsize=size)
    limit = max(SMALLEST, float(np.nanmax(np.abs(change), initial=0)))
    left = room + 0.05
    for text, values, scale, colors in (
        ("data", maps.data, 1.0, COLORS[0]),
        ("samples", maps.samples, 1.0, COLORS[0]),
        ("samples − data", change, limit, COLORS[1]),
    ):
        box = left / size[0], (room + 0.1) / size[1], side / size[0], side / size[1]
        axes = figure.add_axes(box)
        image = plot_heat_map(
            axes,
            values[np.ix_(shown, shown)],
            across=names,
            down=names if text == "data" else (),
            digits=2,
            cmap=colors,
            vmin=-scale,
            vmax=scale,
        )
        axes.set_title(text, fontsize=9)
        left += side + GAP
        if text != "data":
            bar = figure.add_axes(((left - 0.07) / size[0], box[1], BAR / size[0], box[3]))
            figure.colorbar(image, cax=bar)
            bar.tick_params(labelsize=7, length=2)
            bar.locator_params(nbins=5)
            left += BAR + 0.4
    figure.text(0.15 / size[0], 1 - 0.1 / size[1], title, fontsize=10, va="top")
    return figure


def _title(maps: Associations, train: float | None, shown: int, num: int) -> str:
    text = "Association of columns in test data and in samples: rank correlation; Cramér's V of "
    text += "two categories; correlation ratio of ranks for a category and a number"
    if np.isfinite(maps.difference):
        pairs = "1 pair" if maps.num_pairs == 1 else f"{maps.num_pairs:,} pairs"
        text += f"\nMean absolute difference over {pairs}: {maps.difference:.3f} "
        text += f"(independent columns {maps.strength:.3f}"
        text += f", training rows {train:.3f})" if train is not None and np.isfinite(train) else ")"
    if shown < num:
        text += f"; the {shown} of {num:,} columns that differ most"
        text += f", among {len(maps.data)} random ones" if len(maps.data) < num else ""
    if np.isnan(maps.data).any() or np.isnan(maps.samples).any():
        text += f"\nGray: a column is constant, or fewer than {MIN_ROWS} rows have both values"
    return text


def _select(difference: np.ndarray) -> np.ndarray:
    """At most `MAX_SHOWN` columns, ascending: those with the largest mean difference."""
    if len(difference) <= MAX_SHOWN:
        return np.arange(len(difference))
    order = np.argsort(-np.nan_to_num(difference).mean(1), kind="stable")
    return np.sort(order[:MAX_SHOWN])
