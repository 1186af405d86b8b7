"""A map of the codes in the plane, colored by class or by each factor."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vae_jax.evaluation import Terms
from vae_jax.visualize.grids import BLUE
from vae_jax.visualize.model_arrays import choose
from vae_jax.visualize.projections import project

MAX_POINTS = {"pca": 5_000, "tsne": 2_000, "umap": 5_000}
MAX_PANELS = 9
FEW, SEVERAL = 10, 20  # classes with a color each, in two palettes
UNKNOWN = -1  # the class of an example without a label
PANEL = {True: 4.6, False: 2.4}  # inches of the plane, alone and in a grid
MAX_NAME = 16  # characters


def latent_map(
    terms: Terms,
    *,
    class_names: Sequence[str] = (),
    factor_names: Sequence[str] = (),
    projection: str = "pca",
) -> Figure:
    """Posterior centers of the test set in the plane, colored by class, or by each factor.

    Codes with more than two dimensions are projected onto their first two principal components, or
    by t-SNE or UMAP; see `project`. Of many examples a random choice is shown. Several columns of
    labels get a panel each, up to `MAX_PANELS`, if they vary.
    """
    index = np.random.default_rng(0).permutation(choose(len(terms.code), MAX_POINTS[projection]))
    points, axis_names, title = project(terms.code[index], projection)
    title = f"Posterior means of the test set{title}"
    if len(index) < len(terms.code):
        title += f", {len(index):,} of {len(terms.code):,} examples"
    y = None if terms.y is None else np.asarray(terms.y)[index]
    columns = _columns(y, factor_names)
    if len(columns) > MAX_PANELS:
        title += f"; the first {MAX_PANELS} of {len(columns)} labels"
    columns = columns[:MAX_PANELS] or [("", None)]
    alone = len(columns) == 1
    num_columns = min(len(columns), 3)
    num_rows = -(-len(columns) // num_columns)
    side = PANEL[alone]
    gap = 0.4 if alone else 0.75
    size = (num_columns * (side + 1.4) + 0.3, num_rows * (side + gap) + 0.5)
    figure = Figure(figsize=size)
    for number, (name, labels) in enumerate(columns):
        row, column = divmod(number, num_columns)
        left = column * (side + 1.4) + 0.65
        bottom = 0.45 + (num_rows - 1 - row) * (side + gap)
        box = (left / size[0], bottom / size[1], side / size[0], side / size[1])
        axes = figure.add_axes(box)
        bar_box = (box[0] + (side + 0.1) / size[0], box[1], 0.14 / size[0], box[3])
        _scatter(axes, points, labels, class_names if alone else (), bar_box)
        axes.set_title(name, fontsize=9)
        axes.set_xlabel(axis_names[0], fontsize=8)
        axes.set_ylabel(axis_names[1] if not column else "", fontsize=8)
    figure.text(0.15 / size[0], 1 - 0.25 / size[1], title, fontsize=10)
    return figure


def _columns(y: np.ndarray | None, names: Sequence[str]) -> list[tuple[str, Any]]:
    """The name and the labels [N] of each column that varies."""
    if y is None or y.ndim > 2:
        return []
    if y.ndim == 1:
        return [("", y)]
    if len(names) != y.shape[1]:
        names = [f"label {k}" for k in range(y.shape[1])]
    return [(name, y[:, k]) for k, name in enumerate(names) if np.ptp(y[:, k]) > 0]


def _scatter(
    axes: Axes,
    points: np.ndarray,
    labels: np.ndarray | None,
    names: Sequence[str],
    bar_box: tuple[float, ...],
) -> None:
    """Plot points colored by their labels, with a bar of the colors."""
    style = {"s": 12 if len(points) < 1_000 else 5, "linewidths": 0, "rasterized": True}
    axes.set_aspect("equal", adjustable="datalim")
    axes.tick_params(labelsize=7)
    axes.locator_params(nbins=5)
    axes.spines[["top", "right"]].set_visible(False)
    if labels is None:
        axes.scatter(*points.T, color=BLUE, alpha=0.6, **style)
        return
    is_unknown = labels == UNKNOWN if np.ptp(labels) > 1 else np.zeros(len(labels), bool)
    axes.scatter(*points[is_unknown].T, color="#bbbbbb", **style)
    points, labels = points[~is_unknown], labels[~is_unknown]
    classes = np.unique(labels)
    limit = SEVERAL if labels.dtype.kind in "iu" else FEW
    bar_axes = axes.figure.add_axes(bar_box)
    if len(classes) > limit:
        scatter = axes.scatter(*points.T, c=labels, cmap="viridis", **style)
        axes.figure.colorbar(scatter, cax=bar_axes)
    else:
        palette = ("tab10", FEW) if len(classes) <= FEW else ("tab20", SEVERAL)
        colors = np.searchsorted(classes, labels)
        scale = {"cmap": palette[0], "vmin": -0.5, "vmax": palette[1] - 0.5}
        scatter = axes.scatter(*points.T, c=colors, **scale, **style)
        bar = axes.figure.colorbar(scatter, cax=bar_axes)
        bar.set_ticks(range(len(classes)), labels=[_name(value, names) for value in classes])
        bar_axes.set_ylim(-0.5, len(classes) - 0.5)
    bar_axes.tick_params(labelsize=8, length=0)
    if is_unknown.any():
        bar_axes.set_title("gray: no label", fontsize=7, loc="left")


def _name(label: Any, names: Sequence[str]) -> str:
    """The name of a class, shortened, or its number."""
    is_named = isinstance(label, np.integer) and 0 <= label < len(names)
    text = str(names[label]) if is_named else f"{label:g}"
    return text if len(text) <= MAX_NAME else text[: MAX_NAME - 1] + "…"
