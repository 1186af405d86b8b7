"""A map of the codes in the plane, colored by class or by each factor."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vae_jax.evaluation import Terms
from vae_jax.visualize.colors import BLUE, color_map
from vae_jax.visualize.files import DPI
from vae_jax.visualize.grids import shorten, text_width, wrap
from vae_jax.visualize.model_arrays import choose
from vae_jax.visualize.projections import project
from vae_jax.visualize.tables.heat_map import label_size

MAX_POINTS = {"pca": 5_000, "tsne": 2_000, "umap": 5_000}
MAX_PANELS = 9
MAX_CLASSES, MAX_VALUES = 40, 10  # integers, and other numbers, with a color and a name each
UNKNOWN = -1  # the class of an example without a label
UNKNOWN_COLOR = "#d0d0d0"
PANEL = {True: 4.6, False: 2.4}  # inches of the plane, alone and in a grid
FLATTEST = {True: 0.45, False: 0.85}  # least height of a plane in widths, likewise
LEFT, BOTTOM, TOP, LINE, BAR, GAP = 0.65, 0.5, 0.3, 0.2, 0.14, 0.1  # inches
LEAST = 0.085  # inches of a color with a name
NAME_SIZE = 8  # points
MAX_NAME = 24  # characters


class _Labels(NamedTuple):
    """Labels of examples, by which they are colored.

    Attributes:
      name: of the panel.
      values: [N].
      is_known: [N], False for examples without a label.
      texts: of the distinct values, in ascending order; empty for a continuous scale.
      is_ordered: True for values of a factor, False for classes.
    """

    name: str
    values: np.ndarray
    is_known: np.ndarray
    texts: tuple[str, ...]
    is_ordered: bool


def latent_map(
    terms: Terms,
    *,
    class_names: Sequence[str] = (),
    factor_names: Sequence[str] = (),
    projection: str = "pca",
) -> Figure:
    """Codes of the test set, posterior centers, in the plane, colored by class or by each factor.

    Codes with more than two dimensions are projected onto their first two principal components, or
    by t-SNE or UMAP; see `project`. Of many examples a random choice is shown. Several columns of
    labels get a panel each, up to `MAX_PANELS`, if they vary. Classes have colors that readers with
    a color vision deficiency can tell apart; values of factors, and more than ten classes, have
    shades from dark to light.
    """
    index = np.random.default_rng(0).permutation(choose(len(terms.code), MAX_POINTS[projection]))
    points, axis_names, title = project(terms.code[index], projection)
    title = f"Codes of the test set{title}"
    if len(index) < len(terms.code):
        title += f", {len(index):,} of {len(terms.code):,} examples"
    y = None if terms.y is None else np.asarray(terms.y)[index]
    columns = _columns(y, class_names, factor_names)
    if y is not None and y.ndim == 1:
        is_class = columns[0].texts and not columns[0].is_ordered
        title += ", colored by class" if is_class else ", colored by label"
    if len(columns) > MAX_PANELS:
        title += f"; the first {MAX_PANELS} of {len(columns)} labels"
    figure, panels = _make_panels(points, title, columns[:MAX_PANELS])
    for number, (axes, bar_axes) in enumerate(panels):
        _plot_panel(axes, bar_axes, points, columns[number] if columns else None)
        axes.set_xlabel(axis_names[0], fontsize=NAME_SIZE)
        axes.set_ylabel(axis_names[1] if number % 3 == 0 else "", fontsize=NAME_SIZE)
    return figure


def _columns(
    y: np.ndarray | None, class_names: Sequence[str], factor_names: Sequence[str]
) -> list[_Labels]:
    """Each column of labels that varies."""
    if y is None or y.ndim > 2:
        return []
    if y.ndim == 1:
        return [_read_labels("", y, class_names, is_ordered=y.dtype.kind not in "iu")]
    if len(factor_names) != y.shape[1]:
        factor_names = [f"label {k}" for k in range(y.shape[1])]
    columns = [(name, y[:, k]) for k, name in enumerate(factor_names) if np.ptp(y[:, k]) > 0]
    return [_read_labels(name, values, (), is_ordered=True) for name, values in columns]


def _read_labels(
    name: str, values: np.ndarray, class_names: Sequence[str], *, is_ordered: bool
) -> _Labels:
    is_known = values != UNKNOWN if np.ptp(values) > 1 else np.ones(len(values), bool)
    classes = np.unique(values[is_known])
    is_integer = values.dtype.kind in "iu"
    texts: tuple[str, ...] = ()
    if len(classes) <= (MAX_CLASSES if is_integer and not is_ordered else MAX_VALUES):
        texts = tuple(_format_class(value, class_names) for value in classes)
    return _Labels(name, values, is_known, texts, is_ordered)


def _format_class(label: Any, names: Sequence[str]) -> str:
    """The name of a class, shortened, or its number."""
    is_named = isinstance(label, np.integer) and 0 <= label < len(names)
    return shorten(str(names[label]), MAX_NAME) if is_named else f"{label:g}".replace("-", "−")


def _make_panels(
    points: np.ndarray, title: str, columns: Sequence[_Labels]
) -> tuple[Figure, list[tuple[Axes, Axes | None]]]:
    """A figure with a plane, and a bar of colors, for each column of labels; without, one plane."""
    count = max(len(columns), 1)
    across = min(count, 3)
    down = -(-count // across)
    width = PANEL[count == 1]
    num_texts = max([len(labels.texts) for labels in columns], default=0)
    height = max(width * max(_flatness(points), FLATTEST[count == 1]), LEAST * num_texts)
    right = max([_bar_width(labels) for labels in columns], default=0.2)
    pitch = LEFT + width + right, BOTTOM + height + (TOP if count > 1 else 0.1)
    total_width = max(across * pitch[0], 5.0)
    title = wrap(title, 10, int((total_width - 0.3) * DPI))
    total = total_width, down * pitch[1] + 0.15 + LINE * (1 + title.count("\n"))
    figure = Figure(figsize=total)
    figure.text(0.15 / total[0], 1 - 0.1 / total[1], title, fontsize=10, va="top")
    panels: list[tuple[Axes, Axes | None]] = []
    for number in range(count):
        row, column = divmod(number, across)
        left = LEFT + column * pitch[0]
        bottom = BOTTOM + (down - 1 - row) * pitch[1]
        box = (left / total[0], bottom / total[1], width / total[0], height / total[1])
        bar = ((left + width + GAP) / total[0], box[1], BAR / total[0], box[3])
        axes = figure.add_axes(box)
        panels.append((axes, figure.add_axes(bar) if columns else None))
    return figure, panels


def _flatness(points: np.ndarray) -> float:
    """The height of the plane in widths: units are as long on both axes, without empty space."""
    across, up = np.ptp(points, axis=0)
    return float(min(up / across, 1)) if across > 0 else 1.0


def _bar_width(labels: _Labels) -> float:
    """Inches to the right of the plane, for the bar of colors and its texts."""
    width = max([text_width(text, NAME_SIZE) / DPI for text in labels.texts], default=0.4)
    if not labels.is_known.all():
        width = max(width, 0.7)  # 'gray: no label'
    return GAP + BAR + 0.1 + width + 0.15


def _scatter(axes: Axes, points: np.ndarray, color: str = BLUE, **options: Any) -> Any:
    size = 12 if len(points) < 1_000 else 5
    style = {"s": size, "linewidths": 0, "rasterized": True} | options
    return axes.scatter(*points.T, **(style if "c" in options else style | {"color": color}))


def _plot_panel(
    axes: Axes, bar_axes: Axes | None, points: np.ndarray, labels: _Labels | None
) -> None:
    """Plot points colored by their labels, with a bar of the colors."""
    axes.set_aspect("equal", adjustable="datalim")
    axes.tick_params(labelsize=7)
    axes.locator_params(nbins=5)
    axes.spines[["top", "right"]].set_visible(False)
    if labels is None or bar_axes is None:
        _scatter(axes, points, alpha=0.6)
        return
    axes.set_title(labels.name, fontsize=9, parse_math=False)
    is_known = labels.is_known
    _scatter(axes, points[~is_known], UNKNOWN_COLOR)
    values = labels.values[is_known]
    if labels.texts:
        numbers = np.unique(values, return_inverse=True)[1]
        num = len(labels.texts)
        colors = color_map(num, is_ordered=labels.is_ordered)
        scale = {"cmap": colors, "vmin": -0.5, "vmax": num - 0.5}
        image = _scatter(axes, points[is_known], c=numbers, **scale)
        bar = axes.figure.colorbar(image, cax=bar_axes)
        height = axes.get_position().height * axes.figure.get_figheight() * 72  # points
        size, step = label_size(height / num)
        bar.set_ticks(range(0, num, step), labels=labels.texts[::step], parse_math=False)
    else:
        image = _scatter(axes, points[is_known], c=values, cmap="viridis")
        size = NAME_SIZE
        axes.figure.colorbar(image, cax=bar_axes)
    bar_axes.tick_params(labelsize=size, length=0)
    if not is_known.all():
        bar_axes.set_title("gray: no label", fontsize=7, loc="left")
