"""The plane of rate and distortion."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator


def rate_distortion(points: Sequence[tuple[Mapping[str, Any], Mapping[str, float]]]) -> Figure:
    """The front of a sweep: test rate against distortion, a point for each setting, with the spread over its seeds.

    Each point is (what was swept, by name, and the numbers of that trial). Settings that differ in beta alone are joined;
    a setting that is a string, as the name of a run, is its own label. On the gray diagonals the ELBO is the same.
    """
    settings: dict[tuple, list[tuple[float, float]]] = {}
    for values, numbers in points:
        setting = tuple((name, value) for name, value in values.items() if name != "seed")
        settings.setdefault(setting, []).append((numbers["rate"], numbers["distortion"]))
    lines: dict[str, list[tuple[float, np.ndarray, np.ndarray]]] = {}
    for setting, trials in settings.items():
        own = dict(setting)
        beta, terms = own.pop("beta", 0.0), np.asarray(trials)
        label = ", ".join(
            value if isinstance(value, str) else f"{name} = {value:g}"
            for name, value in own.items()
        )
        lines.setdefault(label, []).append(
            (beta, terms.mean(0), terms.std(0, ddof=1) if len(terms) > 1 else np.zeros(2))
        )
    figure = Figure(figsize=(5.4, 4.2), layout="constrained")
    axes = figure.add_subplot()
    has_beta = any("beta" in values for values, _ in points)
    for label, front in lines.items():
        betas, centers, spreads = (
            np.asarray(column)
            for column in zip(*sorted(front, key=lambda point: point[0]), strict=True)
        )
        axes.errorbar(
            *centers.T,
            xerr=spreads[:, 0],
            yerr=spreads[:, 1],
            fmt="o-",
            ms=4,
            lw=1,
            capsize=2,
            label=label,
        )
        for beta, center in zip(betas if has_beta else (), centers, strict=has_beta):
            axes.annotate(
                f"β = {beta:g}", center, textcoords="offset points", xytext=(6, 4), fontsize=8
            )
    if len(settings) == 1:
        _frame(axes, *next(iter(lines.values()))[0][1])
    _draw_elbo_lines(axes)
    if len(lines) > 1:
        axes.legend(frameon=False, fontsize=8)
    seeds = max(len(trials) for trials in settings.values())
    spread = f", ± standard deviation over {seeds} seeds" if seeds > 1 else ""
    axes.set(
        xlabel="rate (nats)",
        ylabel="distortion (nats)",
        title=f"Rate and distortion on the test set{spread}",
    )
    return figure


def _frame(axes: Axes, rate: float, distortion: float) -> None:
    """Limits around a lone point, of the same span on both axes, down to a rate of 0."""
    span = max(float(rate), 0.01 * abs(float(distortion)), 1e-3)
    axes.set(xlim=(rate - span, rate + span), ylim=(distortion - span, distortion + span))


def _draw_elbo_lines(axes: Axes) -> None:
    """Diagonals of equal ELBO, labelled, behind what is drawn, within its limits."""
    if axes.get_autoscale_on():
        axes.margins(0.12)
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    ticks = MaxNLocator(6).tick_values(left + bottom, right + top)
    for total in (t for t in ticks if left + bottom < t < right + top):
        axes.plot([left, right], [total - left, total - right], color="#cccccc", lw=0.7, zorder=0)
        at = (left, total - left) if total - left < top else (total - top, top)
        axes.annotate(
            f"ELBO {-total:g}",
            at,
            xytext=(2, -8),
            textcoords="offset points",
            fontsize=7,
            color="#888888",
        )
    axes.set(xlim=(left, right), ylim=(bottom, top))
