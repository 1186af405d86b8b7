"""The plane of rate and distortion."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from vae_jax.visualize.colors import CATEGORIES, GRAY

MARKERS = "os^Dv"  # of the first ten lines, of the next ten, and so on
MAX_INSIDE = 5  # lines with a legend within the axes
MIN_ROOM = 0.2  # of the width, for the label of a diagonal


def rate_distortion(points: Sequence[tuple[Mapping[str, Any], Mapping[str, float]]]) -> Figure:
    """Test rate against distortion of a sweep: a point per setting, with the spread over seeds.

    Settings that differ only in beta are connected. On each gray diagonal the ELBO is constant.

    Args:
      points: (swept values by name, numbers of the trial); a string value, such as the name of a
        run, becomes a label.
    """
    trials: dict[tuple, list[tuple[float, float]]] = {}
    for values, numbers in points:
        setting = tuple((name, value) for name, value in values.items() if name != "seed")
        trials.setdefault(setting, []).append((numbers["rate"], numbers["distortion"]))
    lines: dict[str, list[tuple[float, np.ndarray, np.ndarray]]] = {}
    for setting, pairs in trials.items():
        values = dict(setting)
        beta = values.pop("beta", 0.0)
        spread = np.std(pairs, axis=0, ddof=1) if len(pairs) > 1 else np.zeros(2)
        lines.setdefault(_label(values), []).append((beta, np.mean(pairs, axis=0), spread))
    figure = Figure(figsize=(5.4, 4.2), layout="constrained")
    axes = figure.add_subplot()
    has_beta = any("beta" in values for values, _ in points)
    for number, (label, line) in enumerate(lines.items()):
        line.sort(key=lambda point: point[0])
        lap, place = divmod(number, len(CATEGORIES))
        style = {"color": CATEGORIES[place], "marker": MARKERS[lap % len(MARKERS)], "label": label}
        _plot_line(axes, line, has_beta, style)
    if len(trials) == 1:
        _frame(axes, *next(iter(lines.values()))[0][1])
    _plot_elbo_lines(axes)
    if len(lines) > 1:
        outside = {"loc": "upper left", "bbox_to_anchor": (1, 1)}
        axes.legend(frameon=False, fontsize=8, **(outside if len(lines) > MAX_INSIDE else {}))
    num_seeds = max(map(len, trials.values()))
    suffix = f"\n± standard deviation over {num_seeds} seeds" if num_seeds > 1 else ""
    title = f"Rate and distortion on the test set{suffix}"
    axes.set(xlabel="rate (nats)", ylabel="distortion (nats)", title=title)
    return figure


def _label(values: Mapping[str, Any]) -> str:
    return ", ".join(
        value if isinstance(value, str) else f"{name} = {value:g}" for name, value in values.items()
    )


def _plot_line(axes: Axes, line: Sequence[tuple], has_beta: bool, style: Mapping[str, Any]) -> None:
    """Plot a line of (beta, center [2], spread [2])."""
    betas, centers, spreads = (np.asarray(column) for column in zip(*line, strict=True))
    xerr, yerr = spreads.T if spreads.any() else (None, None)
    axes.errorbar(*centers.T, xerr=xerr, yerr=yerr, ms=4, lw=1, capsize=2, **style)
    if has_beta:
        place = {"textcoords": "offset points", "xytext": (6, 4), "fontsize": 8}
        for beta, center in zip(betas, centers, strict=True):
            axes.annotate(f"β = {beta:g}", center, **place)


def _frame(axes: Axes, rate: float, distortion: float) -> None:
    """Set limits around a single point, with the same span on both axes, down to a rate of 0."""
    span = max(float(rate), 0.01 * abs(float(distortion)), 1e-3)
    axes.set(xlim=(rate - span, rate + span), ylim=(distortion - span, distortion + span))


def _plot_elbo_lines(axes: Axes) -> None:
    """Plot labeled diagonals of equal ELBO behind the points, within the limits."""
    if axes.get_autoscale_on():
        axes.margins(0.12)
    left, right = axes.get_xlim()
    bottom, top = axes.get_ylim()
    style = {"rotation": -45, "transform_rotates_text": True, "rotation_mode": "anchor"}
    style |= {"fontsize": 7, "color": GRAY, "va": "bottom", "zorder": 0}
    first_x, first_y = left + 0.02 * (right - left), top - 0.06 * (top - bottom)
    for total in MaxNLocator(6).tick_values(left + bottom, right + top):
        if left + bottom < total < right + top:
            ends = [total - left, total - right]
            axes.plot([left, right], ends, color="#cccccc", lw=0.7, zorder=0)
            x = max(first_x, total - first_y)
            if min(right, total - bottom) - x > MIN_ROOM * (right - left):
                axes.text(x, total - x, f"ELBO {-total:g}".replace("-", "−"), **style)
    axes.set(xlim=(left, right), ylim=(bottom, top))
