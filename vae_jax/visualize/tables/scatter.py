"""Each column of test data against its reconstruction, row by row."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vae_jax.evaluation.table_columns import NamedColumn, name_columns
from vae_jax.visualize.colors import BLUE, GRAY
from vae_jax.visualize.tables.bins import Bars, bin_edges, has_bars, make_bars
from vae_jax.visualize.tables.heat_map import plot_heat_map
from vae_jax.visualize.tables.panels import (
    LEFT,
    label_categories,
    label_inches,
    make_panels,
    select_panels,
    shorten_all,
)

HEIGHT = 1.6  # inches of a panel
NARROW = 1.6  # inches of axes with few ticks
MARGIN = 0.04  # of the range of the data


def column_reconstructions(
    data: np.ndarray, reconstructions: np.ndarray, *, columns: Sequence[NamedColumn] = ()
) -> Figure:
    """Each column of test data [N, *E] against its reconstruction: on a diagonal if it is exact.

    Numbers are points; points beyond the range of the data are counted at the edge, not shown. Of
    categories, ordinals and booleans there is a row of shares for each category of the data. Of
    more columns than `MAX_PANELS` those with the largest errors, in standard deviations of the
    column or as a share of wrong categories, are shown.

    Args:
      data: rows, NaN for missing values.
      reconstructions: the mean, or most likely code, of p(x | z) at the center of q(z | x).
      columns: names and forms; numbered columns of numbers by default.
    """
    data, again = (np.asarray(a, np.float64).reshape(len(a), -1) for a in (data, reconstructions))
    columns = columns or name_columns(None, data.shape[1])
    title = "Reconstructions of the columns of test data: the mean or most likely category of "
    title += "p(x | z) at the center of q(z | x), exact on the diagonal"
    shown, text = select_panels(
        len(columns),
        lambda number: _error(data[:, number], again[:, number], columns[number]),
        "with the largest errors",
    )
    title += f"; {text}" if text else ""
    bars = {
        number: make_bars(columns[number], [data[:, number]])
        for number in shown
        if has_bars(columns[number])
    }
    title += "; blue: share of the rows of a category, from 0 to 1" if bars else ""
    texts = [bars[number].texts if number in bars else () for number in shown]
    longest = max([0.0, *(label_inches(text) for labels in texts for text in shorten_all(labels))])
    figure, panels = make_panels(
        [columns[number] for number in shown],
        title,
        texts=texts,
        height=HEIGHT,
        left=max(LEFT, longest + 0.2),
        axis_names=("data", "reconstruction"),
    )
    for number, axes in zip(shown, panels, strict=True):
        observed = ~np.isnan(data[:, number])
        values = data[observed, number], again[observed, number]
        if not observed.any():
            axes.text(0.5, 0.5, "no observed values", transform=axes.transAxes, ha="center")
        elif number in bars:
            _plot_categories(axes, *values, bars[number])
        else:
            _plot_numbers(axes, *values)
    return figure


def _plot_numbers(axes: Axes, data: np.ndarray, again: np.ndarray) -> None:
    edges = bin_edges(data, again)
    low, high = float(edges[0]), float(edges[-1])
    margin = MARGIN * (high - low)
    low, high = low - margin, high + margin
    is_inside = (data >= low) & (data <= high) & (again >= low) & (again <= high)
    axes.plot([low, high], [low, high], color=GRAY, lw=0.8)
    size = 3 if len(data) > 100 else 4 if len(data) > 10 else 8
    axes.plot(data[is_inside], again[is_inside], ".", ms=size, color=BLUE, alpha=0.5, mew=0)
    axes.set(xlim=(low, high), ylim=(low, high))
    is_narrow = axes.get_position().width * axes.figure.get_figwidth() < NARROW
    axes.locator_params(axis="x", nbins=3 if is_narrow else 4)
    axes.locator_params(axis="y", nbins=4)
    for axis in (axes.xaxis, axes.yaxis):
        axis.get_offset_text().set_fontsize(6)
    if not is_inside.all():
        text = f"{int((~is_inside).sum()):,} of {len(data):,} beyond"
        axes.text(0.02, 1, text, transform=axes.transAxes, fontsize=6, va="top")


def _plot_categories(axes: Axes, data: np.ndarray, again: np.ndarray, bars: Bars) -> None:
    """The share of each reconstruction among the rows of each category; 0.5 and more is 1."""
    size = len(bars.texts)
    with np.errstate(invalid="ignore"):
        across, up = bars.places(data), bars.places(np.floor(again + 0.5))
    is_code = (across >= 0) & (up >= 0)
    counts = np.zeros((size, size))
    np.add.at(counts, (up[is_code], across[is_code]), 1)
    totals = counts.sum(0)
    shares = np.where(totals > 0, counts / np.maximum(totals, 1), np.nan)
    digits = 2 if size <= 5 else None
    names = shorten_all(bars.texts)
    plot_heat_map(axes, shares, digits=digits, cmap="Blues", vmin=0, vmax=1, origin="lower")
    label_categories(axes, names)
    label_categories(axes, names, "y")


def _error(data: np.ndarray, again: np.ndarray, column: NamedColumn) -> float:
    """The error of a column, comparable between columns; NaN if it is constant or missing."""
    observed = np.isfinite(data) & np.isfinite(again)
    if not observed.any():
        return np.nan
    error = again[observed] - data[observed]
    if column.is_discrete:
        return float(np.mean(np.abs(error) >= 0.5))
    spread = float(np.std(data[observed]))
    return float(np.sqrt(np.mean(np.square(error)))) / spread if spread > 0 else np.nan
