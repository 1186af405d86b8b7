"""Charts of numbers: learning curves, bars and histograms."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vae_jax.visualize.colors import BLUE, CATEGORIES, GRAY, PALE_BLUE, RED

CHART_SIZE = (4.4, 2.9)  # inches
CURVES = ("elbo", "distortion", "rate")
NAMES = {"elbo": "ELBO"}
SPLITS = {"train": "training", "valid": "validation"}
MAX_BARS = 40
MAX_CURVE_POINTS = 500
MAX_MARKERS = 60
NUM_BINS = 40

History = Sequence[Mapping[str, Any]]
Points = Sequence[tuple[int, float]]  # (step, value)


def learning_curves(
    history: History,
    *,
    splits: Mapping[str, str] | None = None,
    phases: Mapping[str, int] | None = None,
) -> Figure:
    """Bound, distortion and rate against the step, for training and validation.

    Args:
      history: lines of metrics.jsonl.
      splits: names of the curves "train" and "valid", if they are not of the same quantity.
      phases: the step at which a phase of the training begins, by its name. Those after the last
        step of the curves are left out.
    """
    figure = Figure(figsize=(11, 3.2), layout="constrained")
    for axes, name in zip(figure.subplots(1, 3), CURVES, strict=True):
        _plot_curve(axes, history, name, splits, phases)
    return figure


def learning_curve(
    history: History,
    name: str,
    *,
    splits: Mapping[str, str] | None = None,
    phases: Mapping[str, int] | None = None,
) -> Figure:
    """One number against the step, for training and validation; see `learning_curves`."""
    figure = Figure(figsize=CHART_SIZE, layout="constrained")
    _plot_curve(figure.add_subplot(), history, name, splits, phases)
    return figure


def overlaid_curves(histories: Mapping[str, History], name: str, split: str = "valid") -> Figure:
    """One number of several runs against the step."""
    figure = Figure(figsize=CHART_SIZE, layout="constrained")
    axes = figure.add_subplot()
    late: list[float] = []
    max_points = max(MAX_CURVE_POINTS * 4 // max(len(histories), 4), 50)
    colors = itertools.cycle(CATEGORIES)
    for (label, history), color in zip(histories.items(), colors, strict=False):
        points = _subsample(_points(history, name, split), max_points)
        if points:
            marker = _marker("o", points)
            style = {"label": label, "color": color, "lw": 1.2, "ms": 3, "marker": marker}
            axes.plot(*zip(*points, strict=True), **style)
            late += _late_values(points)
    _frame(axes, late)
    if 1 < len(axes.lines) <= 10:
        axes.legend(frameon=False, fontsize=7, loc="upper left", bbox_to_anchor=(1, 1))
    name = NAMES.get(name, name)
    axes.set(xlabel="training step", ylabel=f"{name} on {SPLITS[split]} data (nats)")
    return figure


def bars(values: Mapping[str, float], title: str, label: str = "nats") -> Figure:
    """A bar for each number, in decreasing order, at most `MAX_BARS`."""
    names = sorted(values, key=lambda name: -values[name])[:MAX_BARS]
    if len(names) < len(values):
        title += f", the first {len(names)} of {len(values)}"
    figure = Figure(figsize=CHART_SIZE, layout="constrained")
    axes = figure.add_subplot()
    positions = range(len(names))
    axes.bar(positions, [values[name] for name in names], color=BLUE, width=0.75)
    axes.set_xticks(
        positions,
        names,
        fontsize=8 if len(names) <= 20 else 6,
        rotation=90 if len(names) > 12 else 0,
    )
    axes.tick_params(axis="x", length=0)
    axes.set(ylabel=label, title=title, xlim=(-0.6, max(len(names), 6) - 0.4))
    axes.grid(axis="y", alpha=0.25)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def histogram(
    groups: Mapping[str, np.ndarray], title: str, threshold: float | None = None
) -> Figure:
    """The distribution of each group of values [N] on common bins.

    The outer 0.1% count in the last bins.
    """
    figure = Figure(figsize=CHART_SIZE, layout="constrained")
    axes = figure.add_subplot()
    pooled = np.concatenate([np.asarray(values, np.float64) for values in groups.values()])
    low, high = np.quantile(pooled, [0.001, 0.999])
    edges = np.linspace(low, high, NUM_BINS + 1)
    if edges[0] == edges[-1]:
        edges = edges[0] + np.linspace(-0.5, 0.5, NUM_BINS + 1)
    for (name, values), color in zip(groups.items(), (BLUE, RED, GRAY), strict=False):
        clipped = np.clip(values, edges[0], edges[-1])
        axes.hist(clipped, edges, density=True, alpha=0.55, color=color, label=name)
    if threshold is not None:
        axes.axvline(threshold, color=GRAY, ls="--", lw=1, label="threshold")
    axes.legend(frameon=False, fontsize=8)
    axes.set(xlabel=title, ylabel="density")
    axes.ticklabel_format(axis="y", scilimits=(-2, 3))
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def _plot_curve(
    axes: Axes,
    history: History,
    name: str,
    splits: Mapping[str, str] | None,
    phases: Mapping[str, int] | None,
) -> None:
    late: list[float] = []
    last_step = 0
    labels = SPLITS | dict(splits or {})
    for split, color, symbol in (("train", PALE_BLUE, "."), ("valid", RED, "o")):
        points = _subsample(_points(history, name, split), MAX_CURVE_POINTS)
        if points:
            marker = _marker(symbol, points)
            style = {"label": labels[split], "color": color, "ms": 3, "marker": marker}
            axes.plot(*zip(*points, strict=True), **style)
            late += _late_values(points, last=history[-1]["step"])
            last_step = max(last_step, points[-1][0])
    _frame(axes, late)
    for label, step in (phases or {}).items():
        if step <= last_step:  # an unfinished run has not reached later phases
            axes.axvline(step, color=GRAY, ls="--", lw=1, label=label)
    if axes.lines:  # on white, for the line of a phase may cross it
        axes.legend(frameon=bool(phases), edgecolor="none", framealpha=0.9, fontsize=8)
    axes.set(xlabel="training step", ylabel=f"{NAMES.get(name, name)} (nats)")


def _points(history: History, name: str, split: str) -> Points:
    return [
        (line["step"], line[name])
        for line in history
        if line["split"] == split and line.get(name) is not None
    ]


def _subsample(points: Points, max_points: int) -> Points:
    """At most `max_points`, evenly spaced, with the first and the last."""
    if len(points) <= max_points:
        return points
    return [points[i] for i in np.linspace(0, len(points) - 1, max_points).round().astype(int)]


def _marker(symbol: str, points: Points) -> str:
    """The symbol, or no marker if there are too many points."""
    return symbol if len(points) <= MAX_MARKERS else ""


def _late_values(points: Points, last: int | None = None) -> list[float]:
    """Values after the first fifth of the steps; earlier values would dominate the scale."""
    last = points[-1][0] if last is None else last
    return [value for step, value in points if step > 0.2 * last]


def _frame(axes: Axes, values: Sequence[float]) -> None:
    if values:
        spread = max(values) - min(values)
        is_flat = spread <= 1e-6 * max(map(abs, values))  # such as the rate of a language model
        margin = 0.5 if is_flat else 0.08 * spread
        axes.set_ylim(min(values) - margin, max(values) + margin)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
