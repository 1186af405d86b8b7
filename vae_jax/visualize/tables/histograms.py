"""The distribution of each column of a table in the data, in samples and in reconstructions."""

import functools
import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from vae_jax.evaluation.table_columns import NamedColumn, name_columns
from vae_jax.visualize.colors import BLUE, GRAY, RED
from vae_jax.visualize.tables.bins import Shares, bin_edges, count_values, has_bars, make_bars
from vae_jax.visualize.tables.panels import label_categories, make_panels, select_panels

DATA = "data"
STYLES = {DATA: (GRAY, "-"), "samples": (RED, "-"), "reconstructions": (BLUE, "--")}
TITLES = {
    "samples": "samples (x from p(x | z), z from the prior)",
    "reconstructions": "reconstructions (x from p(x | z) at the center of q(z | x))",
}
MIN_SHARE = 0.001


def column_histograms(
    data: np.ndarray,
    samples: np.ndarray | None = None,
    *,
    reconstructions: np.ndarray | None = None,
    columns: Sequence[NamedColumn] = (),
    split: str = "test",
    noun: str = "Columns",
    note: str = "",
) -> Figure:
    """The distribution of each column in data [N, *E], samples [M, *E] and reconstructions [N, *E].

    The heights are shares of the values. The bins come from the data, see `bin_edges`; shares of
    values beyond them stand beside an arrow, and are in no bin. Categories, ordinals and booleans
    have bars. NaN in the data is a missing value, and in other arrays 'not a number'. Of more
    columns than `MAX_PANELS` those whose samples differ most from the data are shown.

    Args:
      data: rows, NaN for missing values.
      samples: draws of x.
      reconstructions: draws of x; the values of missing data are left out.
      columns: names and forms; numbered columns of numbers by default.
      split: of the data, for the title.
      noun: what the columns are, for the title.
      note: end of the title.
    """
    arrays = {DATA: data, "samples": samples, "reconstructions": reconstructions}
    groups = {
        name: np.asarray(values, np.float64).reshape(len(values), math.prod(values.shape[1:]))
        for name, values in arrays.items()
        if values is not None
    }
    columns = columns or name_columns(None, groups[DATA].shape[1])

    @functools.cache
    def picture(number: int) -> _Histogram | _Bars:
        return _picture(groups, number, columns[number])

    names = [f"{split} data", *(TITLES[name] for name in groups if name in TITLES)]
    title = f"{noun} of " + " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
    reason = "that differ most from the data"
    shown, text = select_panels(len(columns), lambda number: picture(number).distance, reason)
    title = "; ".join(filter(None, [title, text, note]))
    figure, panels = make_panels(
        [columns[number] for number in shown],
        title,
        texts=[picture(number).texts for number in shown],
        has_legend=True,
        axis_names=("", "share of values"),
    )
    for number, axes in zip(shown, panels, strict=True):
        picture(number).plot(axes)
    _add_legend(figure, groups)
    return figure


class _Histogram:
    """The shares of a column of numbers in bins."""

    texts: Sequence[str] = ()

    def __init__(self, values: Mapping[str, np.ndarray], column: NamedColumn) -> None:
        others = [group for name, group in values.items() if name != DATA]
        self._edges = bin_edges(
            values[DATA], np.concatenate([*others, np.zeros(0)]), form=column.form
        )
        self._shares = {name: count_values(group, self._edges) for name, group in values.items()}
        self.distance = _distance(self._shares)
        self._is_empty = not len(values[DATA])

    def plot(self, axes: Axes) -> None:
        for name, shares in self._shares.items():
            color, style = STYLES[name]
            if name == DATA:
                axes.stairs(shares.inside, self._edges, color=color, alpha=0.45, fill=True)
            axes.stairs(shares.inside, self._edges, color=color, lw=1.2, ls=style)
        axes.set_xlim(self._edges[0], self._edges[-1])
        axes.locator_params(axis="x", nbins=4)
        axes.xaxis.get_offset_text().set_fontsize(6)
        _finish(axes, self._shares, is_empty=self._is_empty)


class _Bars:
    """The shares of categories."""

    def __init__(self, values: Mapping[str, np.ndarray], column: NamedColumn) -> None:
        bars = make_bars(column, list(values.values()))
        self.texts: Sequence[str] = bars.texts
        self._shares = {name: bars.measure(group) for name, group in values.items()}
        self.distance = _distance(self._shares)
        self._is_empty = not len(values[DATA])

    def plot(self, axes: Axes) -> None:
        width = 0.8 / len(self._shares)
        positions = np.arange(len(self.texts))
        for place, (name, shares) in enumerate(self._shares.items()):
            offset = (place - (len(self._shares) - 1) / 2) * width
            color, _ = STYLES[name]
            hatch = "////" if name == "reconstructions" else None
            axes.bar(
                positions + offset,
                shares.inside,
                width,
                facecolor="white" if hatch else color,
                edgecolor=color,
                hatch=hatch,
                alpha=0.6 if name == DATA else 1,
                lw=0.6,
            )
        axes.set_xlim(-0.6, len(self.texts) - 0.4)
        label_categories(axes, self.texts)
        _finish(axes, self._shares, is_empty=self._is_empty)


def _picture(
    groups: Mapping[str, np.ndarray], number: int, column: NamedColumn
) -> _Histogram | _Bars:
    """The shares of a column in each group; of the data, and of reconstructions, if observed."""
    observed = ~np.isnan(groups[DATA][:, number])
    values = {name: group[:, number] for name, group in groups.items()}
    values[DATA] = values[DATA][observed]
    if "reconstructions" in values:
        values["reconstructions"] = values["reconstructions"][observed]
    return _Bars(values, column) if has_bars(column) else _Histogram(values, column)


def _distance(shares: Mapping[str, Shares]) -> float:
    """The total variation between data and samples, or reconstructions without samples."""
    others = [shares[name].all for name in ("samples", "reconstructions") if name in shares]
    return 0.5 * float(np.abs(shares[DATA].all - others[0]).sum()) if others else 0.0


def _finish(axes: Axes, shares: Mapping[str, Shares], *, is_empty: bool) -> None:
    """The scale, and the shares beyond the bins."""
    highest = max(float(group.inside.max(initial=0)) for group in shares.values())
    notes = [_notes(axes, name, group, place) for place, (name, group) in enumerate(shares.items())]
    room = 1.08 if not any(notes) else 1.45
    axes.set_ylim(0, room * highest if highest > 0 else 1)
    axes.locator_params(axis="y", nbins=3)
    axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.3g}%")
    if is_empty:
        axes.text(
            0.5, 0.88, "no observed values", transform=axes.transAxes, ha="center", fontsize=7
        )


def _notes(axes: Axes, name: str, shares: Shares, place: int) -> bool:
    """Write the shares of a group beyond the bins; True if there are any."""
    color = STYLES[name][0] if name != DATA else "#555555"
    y = 1.0 - 0.115 * place
    entries = (
        (0.01, "left", "← {}", shares.below),
        (0.99, "right", "{} →", shares.above),
        (0.5, "center", "{} not a value", shares.neither),
    )
    for x, side, text, share in entries:
        if share > 0:
            percent = f"{share:.1%}" if share >= MIN_SHARE else f"<{MIN_SHARE:.1%}"
            axes.text(
                x,
                y,
                text.format(percent),
                transform=axes.transAxes,
                color=color,
                fontsize=6,
                ha=side,
                va="top",
            )
    return any(share > 0 for *_, share in entries)


def _add_legend(figure: Figure, groups: Mapping[str, np.ndarray]) -> None:
    handles: list[Patch | Line2D] = []
    for name in groups:
        color, style = STYLES[name]
        if name == DATA:
            handles.append(Patch(facecolor=color, alpha=0.45, label=name))
        else:
            handles.append(Line2D([], [], color=color, ls=style, label=name))
    handles.append(Line2D([], [], ls="", label="←  →  share beyond the bins"))
    lines = figure.texts[0].get_text().count("\n") + 1
    y = 1 - (0.12 + 0.2 * lines) / figure.get_figheight()
    figure.legend(
        handles=handles,
        loc="upper left",
        bbox_to_anchor=(0.1 / figure.get_figwidth(), y),
        ncols=len(handles),
        frameon=False,
        fontsize=8,
        borderpad=0,
    )
