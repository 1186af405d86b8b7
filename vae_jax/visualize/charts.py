"""Charts of numbers: learning curves, bars, histograms, and the map of the codes."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vae_jax.evaluation import Terms

BLUE, PALE, RED, GREY = "#3b6fb6", "#9bb8dc", "#c0392b", "#888888"
PANEL = (4.4, 2.9)  # inches: of a chart that stands alone
CURVES = ("elbo", "distortion", "rate")
MOST_BARS = 40
MOST_POINTS = 5_000
MOST_STEPS = 500  # of a curve, evenly chosen among more
MOST_MARKERS = 60

History = Sequence[Mapping[str, Any]]


def latent_map(terms: Terms) -> Figure:
    """Posterior centers of the test set in the plane, colored by label where there is one a class.

    Of more than two latents, their first two principal components.
    """
    points, names, title = terms.code, ("z0", "z1"), "Posterior means of the test set"
    if points.shape[1] != 2:
        points, explained = principal_plane(points)
        names = tuple(
            f"component {i + 1} ({share:.0%} of the variance)" for i, share in enumerate(explained)
        )
        title += ", principal components"
    figure = Figure(figsize=(6, 5), layout="constrained")
    axes = figure.add_subplot()
    labels = terms.y if terms.y is not None and terms.y.ndim == 1 else None
    points, labels = points[:MOST_POINTS], None if labels is None else labels[:MOST_POINTS]
    if labels is None:
        axes.scatter(*points.T, s=4, color=BLUE, linewidths=0, alpha=0.6)
    else:
        classes = np.unique(labels)
        few = len(classes) <= 10
        colors = np.searchsorted(classes, labels) if few else labels
        limits = {"cmap": "tab10", "vmin": -0.5, "vmax": 9.5} if few else {"cmap": "viridis"}
        drawn = axes.scatter(*points.T, s=6, c=colors, linewidths=0, alpha=0.9, **limits)
        bar = figure.colorbar(drawn, ax=axes, label="label", shrink=0.8)
        if few:
            bar.set_ticks(range(len(classes)), labels=[str(value) for value in classes])
            bar.ax.set_ylim(-0.5, len(classes) - 0.5)
    axes.set(xlabel=names[0], ylabel=names[1], aspect="equal")
    axes.set_title(title, fontsize=10)
    return figure


def principal_plane(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The codes [N, D], D > 2, in the plane of their first two principal components, [N, 2], and its shares of the variance."""
    centerd = codes.astype(np.float64) - codes.mean(0, dtype=np.float64)
    values, vectors = np.linalg.eigh(centerd.T @ centerd)
    return centerd @ vectors[:, :-3:-1], values[:-3:-1] / max(values.sum(), 1e-300)


def learning_curves(history: History) -> Figure:
    """Bound, distortion and rate against the step, for training and validation."""
    figure = Figure(figsize=(11, 3.4), layout="constrained")
    for axes, name in zip(figure.subplots(1, 3), CURVES, strict=True):
        _draw_curve(axes, history, name)
    return figure


def learning_curve(history: History, name: str) -> Figure:
    """One number against the step, for training and validation."""
    figure = Figure(figsize=PANEL, layout="constrained")
    _draw_curve(figure.add_subplot(), history, name)
    return figure


def overlaid_curves(histories: Mapping[str, History], name: str, split: str = "valid") -> Figure:
    """One number of several runs against the step."""
    figure = Figure(figsize=PANEL, layout="constrained")
    axes = figure.add_subplot()
    late: list[float] = []
    most = max(MOST_STEPS * 4 // max(len(histories), 4), 50)
    for label, history in histories.items():
        points = _thinned(_points(history, name, split), most)
        if points:
            axes.plot(
                *zip(*points, strict=True), label=label, lw=1.2, ms=3, marker=_marker("o", points)
            )
            late += _late(points)
    _frame(axes, late)
    if 1 < len(axes.lines) <= 10:
        axes.legend(frameon=False, fontsize=7)
    axes.set(xlabel="step", title=f"{name} on {split} (nats)")
    return figure


def bars(values: Mapping[str, float], title: str, label: str = "nats") -> Figure:
    """A bar for each number, the greatest first, at most `MOST_BARS`."""
    names = sorted(values, key=lambda name: -values[name])
    shown = names[:MOST_BARS]
    more = f", the first {len(shown)} of {len(names)}" if len(shown) < len(names) else ""
    figure = Figure(figsize=PANEL, layout="constrained")
    axes = figure.add_subplot()
    axes.bar(range(len(shown)), [values[name] for name in shown], color=BLUE, width=0.75)
    axes.set_xticks(
        range(len(shown)),
        shown,
        fontsize=8 if len(shown) <= 20 else 6,
        rotation=90 if len(shown) > 12 else 0,
    )
    axes.tick_params(axis="x", length=0)
    axes.set(ylabel=label, title=title + more, xlim=(-0.6, max(len(shown), 6) - 0.4))
    axes.grid(axis="y", alpha=0.25)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def histogram(
    groups: Mapping[str, np.ndarray], title: str, threshold: float | None = None
) -> Figure:
    """The distribution of each group of numbers, on common bins; those beyond the outer thousandths are in the last bins."""
    figure = Figure(figsize=PANEL, layout="constrained")
    axes = figure.add_subplot()
    every = np.concatenate([np.asarray(values, np.float64) for values in groups.values()])
    edges = np.linspace(*np.quantile(every, [0.001, 0.999]), 41)
    if edges[0] == edges[-1]:
        edges = edges[0] + np.linspace(-0.5, 0.5, 41)
    for (name, values), color in zip(groups.items(), (BLUE, RED, GREY), strict=False):
        axes.hist(
            np.clip(values, edges[0], edges[-1]),
            edges,
            density=True,
            alpha=0.55,
            color=color,
            label=name,
        )
    if threshold is not None:
        axes.axvline(threshold, color=GREY, ls="--", lw=1, label="threshold")
    axes.legend(frameon=False, fontsize=8)
    axes.set(title=title, yticks=[])
    axes.spines[["top", "right", "left"]].set_visible(False)
    return figure


def _draw_curve(axes: Axes, history: History, name: str) -> None:
    late: list[float] = []
    for split, color, marker in (("train", PALE, "."), ("valid", RED, "o")):
        points = _thinned(_points(history, name, split), MOST_STEPS)
        if points:
            axes.plot(
                *zip(*points, strict=True),
                label=split,
                color=color,
                ms=3,
                marker=_marker(marker, points),
            )
            late += _late(points, last=history[-1]["step"])
    _frame(axes, late)
    if axes.lines:
        axes.legend(frameon=False)
    axes.set(xlabel="step", title=f"{name} (nats)")


def _points(history: History, name: str, split: str) -> list[tuple[int, float]]:
    return [
        (line["step"], line[name])
        for line in history
        if line["split"] == split and line.get(name) is not None
    ]


def _thinned(points: list[tuple[int, float]], most: int) -> list[tuple[int, float]]:
    """At most that many, evenly chosen, the first and the last among them."""
    if len(points) <= most:
        return points
    return [points[i] for i in np.linspace(0, len(points) - 1, most).round().astype(int)]


def _marker(marker: str, points: Sequence[tuple[int, float]]) -> str:
    """None where there are so many that they would be a band."""
    return marker if len(points) <= MOST_MARKERS else ""


def _late(points: Sequence[tuple[int, float]], last: int | None = None) -> list[float]:
    """Without the first steps, which would flatten the rest."""
    last = points[-1][0] if last is None else last
    return [value for step, value in points if step > 0.2 * last]


def _frame(axes: Axes, values: Sequence[float]) -> None:
    if values:
        margin = 0.08 * max(max(values) - min(values), 1e-6)
        axes.set_ylim(min(values) - margin, max(values) + margin)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
