"""Grids of examples with labeled rows: images, or curves for other data."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure


def image_rows(rows: Mapping[str, Any], title: str, *, names: bool = True) -> Figure:
    """A grid with a labeled row for each entry [N, *E]: images, or curves for other data."""
    arrays = {name: np.asarray(values, np.float32) for name, values in rows.items()}
    example = next(iter(arrays.values()))[0]
    num_columns = max(len(values) for values in arrays.values())
    cell = 0.62 if num_columns > 12 else 0.75  # inches
    size = (cell * num_columns + 1.0, cell * len(arrays) + 0.4)
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.add_subplot()
    is_image = example.ndim == 3 and example.shape[-1] in (1, 3)
    centers = _plot_images(axes, arrays, num_columns) if is_image else _plot_curves(axes, arrays)
    axes.set(xticks=[], yticks=[])
    if names:
        axes.set_yticks(centers, list(arrays), fontsize=8)
        axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_title(title, fontsize=10)
    return figure


def _plot_images(axes: Axes, rows: Mapping[str, np.ndarray], num_columns: int) -> list[float]:
    """Plot one image of all rows, scaled to the range of the first; return row centers."""
    first = next(iter(rows.values()))
    low = float(first.min())
    span = max(float(first.max()) - low, 1e-12)
    height, width, channels = first.shape[1:]
    gap = max(1, round(0.04 * height))
    shape = (len(rows) * (height + gap), num_columns * (width + gap), channels)
    canvas = np.ones(shape, np.float32)
    for i, values in enumerate(rows.values()):
        for j, value in enumerate(values):
            top = i * (height + gap)
            left = j * (width + gap)
            canvas[top : top + height, left : left + width] = np.clip((value - low) / span, 0, 1)
    pixels = canvas if channels == 3 else canvas[..., 0]
    axes.imshow(pixels, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    return [i * (height + gap) + height / 2 for i in range(len(rows))]


def _plot_curves(axes: Axes, rows: Mapping[str, np.ndarray]) -> list[float]:
    """Plot each flattened example as a curve, all on one scale; return row centers."""
    low = min(float(values.min()) for values in rows.values())
    high = max(float(values.max()) for values in rows.values())
    for i, values in enumerate(rows.values()):
        for j, value in enumerate(values):
            x = np.linspace(j, j + 0.9, value.size)
            height = i + 0.45 - 0.9 * (value.ravel() - low) / max(high - low, 1e-12)
            axes.plot(x, height, linewidth=0.6, color="#3b6fb6")
    axes.invert_yaxis()
    return list(range(len(rows)))
