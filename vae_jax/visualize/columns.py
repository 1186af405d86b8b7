"""Figures of tables: each column of the data against the model."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vae_jax.visualize.grids import BLUE

RED = "#c0392b"
MAX_COLUMNS = 12
NUM_BINS = 30
TAIL = 0.005  # share of the data at each end, counted in the outer bins
WIDTH, HEIGHT = 2.5, 1.75  # inches of a panel


def column_histograms(data: np.ndarray, draws: np.ndarray, names: Sequence[str] = ()) -> Figure:
    """The distribution of each column in data [N, *E] and in draws of a model [M, *E].

    The bins come from the data; the outer bins count everything beyond. The first
    `MAX_COLUMNS` columns are shown.
    """
    data, draws = (np.asarray(a, np.float64).reshape(len(a), -1) for a in (data, draws))
    title = "Columns of test data and of samples, x from p(x | z) with z from the prior"
    figure, panels = _panels(data.shape[1], names, title)
    for column, axes in enumerate(panels):
        edges = bin_edges(data[:, column])
        for values, color, label in ((data, BLUE, "data"), (draws, RED, "samples")):
            clipped = np.clip(values[np.isfinite(values[:, column]), column], edges[0], edges[-1])
            counts = np.histogram(clipped, edges)[0] / max(len(values), 1)
            axes.stairs(counts, edges, color=color, label=label, lw=1.3, fill=False)
            if color == BLUE:
                axes.stairs(counts, edges, color=color, alpha=0.25, fill=True)
        axes.set(yticks=[], ylim=(0, None))
    panels[0].legend(frameon=False, fontsize=7)
    return figure


def column_reconstructions(
    data: np.ndarray, reconstructions: np.ndarray, names: Sequence[str] = ()
) -> Figure:
    """Each column of test data [N, *E] against its reconstruction, on a diagonal if it is exact."""
    data, again = (np.asarray(a, np.float64).reshape(len(a), -1) for a in (data, reconstructions))
    title = "Columns of test data (across) and their reconstructions (up), exact on the diagonal"
    figure, panels = _panels(data.shape[1], names, title)
    for column, axes in enumerate(panels):
        edges = bin_edges(data[:, column])
        low, high = edges[0], edges[-1]
        margin = 0.04 * (high - low)
        values = np.clip([data[:, column], again[:, column]], low, high)
        axes.plot([low, high], [low, high], color="#888888", lw=0.8)
        axes.plot(*values, ".", ms=3, color=BLUE, alpha=0.5, mew=0)
        axes.set(xlim=(low - margin, high + margin), ylim=(low - margin, high + margin))
    return figure


def bin_edges(values: np.ndarray) -> np.ndarray:
    """Edges of at most `NUM_BINS` bins of values [N].

    If all values are integers, each bin has the same number of integers. The bins
    exclude `TAIL` of the values at each end.
    """
    values = values[np.isfinite(values)]
    if not values.size:
        return np.array([-0.5, 0.5])
    low, high = values.min(), values.max()
    inner = np.quantile(values, [TAIL, 1 - TAIL], method="nearest")
    if inner[0] < inner[1]:
        low, high = inner
    if (values == np.round(values)).all():
        step = max(1, -(-(high - low + 1) // NUM_BINS))  # integers in each bin
        return np.arange(low, high + 1 + step, step) - 0.5
    width = max(high - low, 1e-6 * max(abs(high), 1e-30))
    return np.linspace(low, low + width, NUM_BINS + 1)


def _panels(num: int, names: Sequence[str], title: str) -> tuple[Figure, list[Axes]]:
    """A figure with a panel for each column."""
    num_panels = min(num, MAX_COLUMNS)
    if num_panels < num:
        title += f"; the first {num_panels} of {num}"
    across = min(num_panels, 4)
    down = -(-num_panels // across)
    size = (max(across * WIDTH, 6.8) + 0.3, down * HEIGHT + 0.45)
    figure = Figure(figsize=size)
    panels = []
    width = (size[0] - 0.3) / across
    for number in range(num_panels):
        row, column = divmod(number, across)
        left, bottom = 0.5 + column * width, size[1] - 0.45 - (row + 1) * HEIGHT + 0.45
        axes = figure.add_axes(
            (left / size[0], bottom / size[1], (width - 0.55) / size[0], 1.2 / size[1])
        )
        name = names[number] if number < len(names) else f"column {number}"
        axes.set_title(name, fontsize=9)
        axes.tick_params(labelsize=7)
        axes.locator_params(nbins=4)
        axes.spines[["top", "right"]].set_visible(False)
        panels.append(axes)
    figure.text(0.15 / size[0], 1 - 0.25 / size[1], title, fontsize=10)
    return figure, panels
