"""The columns of a table that each latent moves."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from vae_jax.evaluation.latent_effects import RANGE, LatentEffects
from vae_jax.evaluation.table_columns import NamedColumn
from vae_jax.visualize.files import DPI
from vae_jax.visualize.grids import wrap
from vae_jax.visualize.tables.heat_map import names_width, plot_heat_map

MAX_SHOWN = 60  # columns
CELL = (0.36, 0.22)  # inches, if there is room
MAX_WIDTH = 9.5  # inches of both maps
BAR, GAP = 0.12, 0.75


def latent_columns(
    effects: LatentEffects,
    columns: Sequence[NamedColumn],
    *,
    weights: Sequence[float],
    unit: str = "KL",
    note: str = "",
) -> Figure:
    """A map of the change of each column along each latent; see `evaluation.latent_effects`.

    Numbers are on the left, in standard deviations of the column; categories, ordinals and booleans
    on the right, as total variation. Of more than `MAX_SHOWN` columns those that move most in their
    unit are shown.

    Args:
      effects: the changes.
      columns: the D columns.
      weights: KL, or spread of the codes, of each latent.
      unit: the name of the weights.
      note: a sentence below the title.
    """
    shown = _select(effects.change)
    is_variation = effects.is_variation[shown]
    parts = [shown[~is_variation], shown[is_variation]]
    parts = [part for part in parts if len(part)]
    names = [f"z{d} {unit} {w:.2f}" for d, w in zip(effects.latents, weights, strict=True)]
    room = names_width(names)
    below = names_width([columns[number].name for number in shown])
    cell = min(CELL[0], MAX_WIDTH / len(shown))
    widths = [max(cell * len(part), 0.5) for part in parts]
    height = max(CELL[1] * len(names), 0.6)
    width = max(room + sum(width + BAR + GAP for width in widths) + 0.2, 7.2)
    text = f"Change of the mean of each column as one latent moves by ±{RANGE:g} standard "
    text += "deviations of the codes, on average over test rows"
    text += f"; the {len(shown)} of {len(columns):,} columns that move most" * (
        len(shown) < len(columns)
    )
    title = wrap("\n".join(filter(None, (text, note))), 10, int((width - 0.3) * DPI))
    top = 0.4 + 0.2 * (1 + title.count("\n"))
    total = top + height + below + 0.15
    figure = Figure(figsize=(width, total))
    left = room + 0.1
    for number, (part, across) in enumerate(zip(parts, widths, strict=True)):
        box = left / width, (below + 0.1) / total, across / width, height / total
        axes = figure.add_axes(box)
        values = effects.change[:, part]
        categories = bool(effects.is_variation[part[0]])
        limit = float(np.nanmax(np.abs(values), initial=0)) or 1.0
        scale = {"cmap": "Greens", "vmin": 0, "vmax": 1}
        if not categories:
            scale = {"cmap": "RdBu_r", "vmin": -limit, "vmax": limit}
        image = plot_heat_map(
            axes,
            values,
            across=[columns[n].name for n in part],
            down=names if not number else (),
            digits=2 if categories else 1,
            **scale,
        )
        bar = figure.add_axes(((left + across + 0.08) / width, box[1], BAR / width, box[3]))
        figure.colorbar(image, cax=bar)
        bar.tick_params(labelsize=7, length=2)
        bar.locator_params(nbins=4)
        axes.set_title(
            "categories: total variation" if categories else "numbers: standard deviations",
            fontsize=8,
            loc="left",
        )
        left += across + BAR + GAP
    figure.text(0.15 / width, 1 - 0.1 / total, title, fontsize=10, va="top")
    return figure


def _select(change: np.ndarray) -> np.ndarray:
    """At most `MAX_SHOWN` columns, ascending: those with the largest change along a latent."""
    if change.shape[1] <= MAX_SHOWN:
        return np.arange(change.shape[1])
    order = np.argsort(-np.nan_to_num(np.abs(change)).max(0, initial=0), kind="stable")
    return np.sort(order[:MAX_SHOWN])
