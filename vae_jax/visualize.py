"""Figures of a trained model: each function returns a matplotlib figure, `draw_all` writes them as PNG files."""

import io
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from vae_jax.corruptions import Corruption
from vae_jax.data import Dataset
from vae_jax.evaluation import Terms
from vae_jax.records import write_atomically
from vae_jax.trained import Trained

TRAVERSAL_REACH = 2.5  # standard deviations to each side
MAX_ROWS = 16
DPI = 130


def draw_all(
    model: Trained,
    dataset: Dataset,
    terms: Terms,
    history: Sequence[Mapping[str, Any]],
    directory: pathlib.Path,
    *,
    corruption: Corruption | None = None,
) -> list[pathlib.Path]:
    """Writes every figure that the model and its data allow into the directory; `terms` are those of the test set."""
    key_data, key_corruption, key_prior = jax.random.split(jax.random.key(0), 3)
    x = dataset.test.take(jnp.arange(min(16, dataset.test.num_examples)), key_data)["x"]
    has_prior = terms.kl is not None and bool(np.isfinite(terms.kl).all())
    figures = {
        "reconstructions": reconstructions(model, x, None if corruption is None else corruption(key_corruption, x)),
        "traversals": traversals(model, terms),
    }
    if len(x) > 1:
        figures["interpolations"] = interpolations(model, x)
    if has_prior:
        figures["samples"] = samples(model, key_prior)
    if terms.code.shape[1] == 2:
        figures["latent_map"] = latent_map(terms)
    if history:
        figures["learning_curves"] = learning_curves(history)
    directory.mkdir(parents=True, exist_ok=True)
    return [save(figure, directory / f"{name}.png") for name, figure in figures.items()]


def save(figure: Figure, path: pathlib.Path) -> pathlib.Path:
    """Writes a PNG, whole or not at all."""
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=DPI, bbox_inches="tight", facecolor="white")
    write_atomically(path, content.getvalue())
    return path


def reconstructions(model: Trained, x: jax.Array, corrupted: jax.Array | None = None) -> Figure:
    """Test images above their reconstructions; in a denoising model also what its encoder saw."""
    seen = x if corrupted is None else corrupted
    rows = {"data": x} | ({} if corrupted is None else {"corrupted": seen}) | {"model": model.reconstruct(seen)}
    return image_rows(rows, "Reconstructions of test examples, from the posterior mean")


def samples(model: Trained, key: jax.Array, side: int = 8) -> Figure:
    """Means of p(x | z) at draws from the prior."""
    images = model.sample(key, side * side)
    rows = images.reshape(side, side, *images.shape[1:])
    return image_rows({str(i): row for i, row in enumerate(rows)}, "Samples: mean of p(x | z) at z from the prior", names=False)


def interpolations(model: Trained, x: jax.Array, num_pairs: int = 4, num_points: int = 10) -> Figure:
    """Straight and spherical paths between the codes of pairs of test images."""
    num_pairs = min(num_pairs, len(x) // 2)
    start, end = x[:num_pairs], x[num_pairs : 2 * num_pairs]
    rows = {}
    paths = {kind: model.interpolate(start, end, num_points, kind=kind) for kind in ("linear", "spherical")}
    for pair in range(num_pairs):
        for kind, path in paths.items():
            rows[f"{pair + 1} {kind}"] = path[:, pair]
    return image_rows(rows, "Interpolations between the codes of two test examples")


def traversals(model: Trained, terms: Terms, num_points: int = 11) -> Figure:
    """One latent at a time moved over its range, ordered by its KL, from the code of the first test example.

    Without a finite KL (an autoencoder) the order and the range are those of the spread of the codes.
    """
    spread = terms.code.std(0)
    has_kl = terms.kl is not None and bool(np.isfinite(terms.kl).all())
    weight, scale = (terms.kl.mean(0), np.ones_like(spread)) if has_kl else (spread, spread)
    offsets = jnp.linspace(-TRAVERSAL_REACH, TRAVERSAL_REACH, num_points)
    rows = {}
    for d in np.argsort(-weight)[:MAX_ROWS]:
        centre = 0.0 if has_kl else terms.code[:, d].mean()
        z = jnp.tile(jnp.asarray(terms.code[0]), (num_points, 1)).at[:, d].set(centre + offsets * scale[d])
        label = f"z{d}  KL {weight[d]:.2f}" if has_kl else f"z{d}  sd {weight[d]:.2f}"
        rows[label] = model.decode(z).mean
    unit = "prior standard deviations, KL in nats" if has_kl else "standard deviations of the codes"
    return image_rows(rows, f"Traversals from the first test example: each latent over ±{TRAVERSAL_REACH} {unit}")


def latent_map(terms: Terms) -> Figure:
    """Posterior means of the test set in the plane, coloured by label where there is one a class."""
    figure = Figure(figsize=(6, 5))
    axes = figure.add_subplot()
    labels = terms.y if terms.y is not None and terms.y.ndim == 1 else None
    if labels is None:
        axes.scatter(*terms.code.T, s=4, color="#3b6fb6", linewidths=0, alpha=0.6)
    else:
        classes = np.unique(labels)
        few = len(classes) <= 10
        colours = np.searchsorted(classes, labels) if few else labels
        limits = {"cmap": "tab10", "vmin": -0.5, "vmax": 9.5} if few else {"cmap": "viridis"}
        points = axes.scatter(*terms.code.T, s=6, c=colours, linewidths=0, alpha=0.9, **limits)
        bar = figure.colorbar(points, label="label")
        if few:
            bar.set_ticks(range(len(classes)), labels=[str(value) for value in classes])
            bar.ax.set_ylim(-0.5, len(classes) - 0.5)
    axes.set(xlabel="z0", ylabel="z1", title="Posterior means of the test set", aspect="equal")
    return figure


def learning_curves(history: Sequence[Mapping[str, Any]]) -> Figure:
    """Bound, distortion and rate against the step, for training and validation."""
    figure = Figure(figsize=(11, 3.4), layout="constrained")
    panels = figure.subplots(1, 3)
    for axes, name in zip(panels, ("elbo", "distortion", "rate"), strict=True):
        for split, style in (
            ("train", {"color": "#9bb8dc", "marker": ".", "ms": 3}),
            ("valid", {"color": "#c0392b", "marker": "o", "ms": 3}),
        ):
            points = [(line["step"], line[name]) for line in history if line["split"] == split and line.get(name) is not None]
            if points:
                axes.plot(*zip(*points, strict=True), label=split, **style)
        late = [line[name] for line in history if line.get(name) is not None and line["step"] > 0.2 * history[-1]["step"]]
        if late:
            margin = 0.08 * max(max(late) - min(late), 1e-6)
            axes.set_ylim(min(late) - margin, max(late) + margin)  # the first steps would flatten the rest
            axes.legend(frameon=False)
        axes.set(xlabel="step", title=f"{name} (nats)")
        axes.grid(alpha=0.25)
    return figure


def rate_distortion(points: Sequence[tuple[Mapping[str, Any], Mapping[str, float]]]) -> Figure:
    """The front of a sweep: test rate against distortion, a point for each setting, with the spread over its seeds.

    Each point is (what was swept, by name, and the numbers of that lane). Settings that differ in beta alone are joined.
    On the grey diagonals the ELBO is the same.
    """
    settings: dict[tuple, list[tuple[float, float]]] = {}
    for values, numbers in points:
        setting = tuple((name, value) for name, value in values.items() if name != "seed")
        settings.setdefault(setting, []).append((numbers["rate"], numbers["distortion"]))
    lines: dict[str, list[tuple[float, np.ndarray, np.ndarray]]] = {}
    for setting, lanes in settings.items():
        own = dict(setting)
        beta, terms = own.pop("beta", 0.0), np.asarray(lanes)
        label = ", ".join(f"{name} = {value:g}" for name, value in own.items())
        lines.setdefault(label, []).append((beta, terms.code(0), terms.std(0, ddof=1) if len(terms) > 1 else np.zeros(2)))
    figure = Figure(figsize=(6.4, 4.8), layout="constrained")
    axes = figure.add_subplot()
    has_beta = any("beta" in values for values, _ in points)
    for label, front in lines.items():
        betas, centres, spreads = (
            np.asarray(column) for column in zip(*sorted(front, key=lambda point: point[0]), strict=True)
        )
        axes.errorbar(*centres.T, xerr=spreads[:, 0], yerr=spreads[:, 1], fmt="o-", ms=4, lw=1, capsize=2, label=label)
        for beta, centre in zip(betas if has_beta else (), centres, strict=has_beta):
            axes.annotate(f"β = {beta:g}", centre, textcoords="offset points", xytext=(6, 4), fontsize=8)
    _draw_elbo_lines(axes)
    if len(lines) > 1:
        axes.legend(frameon=False, fontsize=8)
    seeds = max(len(lanes) for lanes in settings.values())
    spread = f", ± standard deviation over {seeds} seeds" if seeds > 1 else ""
    axes.set(xlabel="rate (nats)", ylabel="distortion (nats)", title=f"Rate and distortion on the test set{spread}")
    return figure


def _draw_elbo_lines(axes: Axes) -> None:
    """Diagonals of equal ELBO, labelled, behind what is drawn, within its limits."""
    axes.margins(0.12)
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    ticks = MaxNLocator(6).tick_values(left + bottom, right + top)
    for total in (t for t in ticks if left + bottom < t < right + top):
        axes.plot([left, right], [total - left, total - right], color="#cccccc", lw=0.7, zorder=0)
        at = (left, total - left) if total - left < top else (total - top, top)
        axes.annotate(f"ELBO {-total:g}", at, xytext=(2, -8), textcoords="offset points", fontsize=7, color="#888888")
    axes.set(xlim=(left, right), ylim=(bottom, top))


def image_rows(rows: Mapping[str, jax.Array], title: str, *, names: bool = True) -> Figure:
    """A grid of examples [N, *E], one labelled row for each entry; what is not an image is drawn as a curve."""
    arrays = {name: np.asarray(values, np.float32) for name, values in rows.items()}
    example = next(iter(arrays.values()))[0]
    num_columns = max(len(values) for values in arrays.values())
    cell = 0.62 if num_columns > 12 else 0.75  # inches
    figure = Figure(figsize=(cell * num_columns + 1.0, cell * len(arrays) + 0.4), layout="constrained")
    axes = figure.add_subplot()
    is_image = example.ndim == 3 and example.shape[-1] in (1, 3)
    centres = _draw_images(axes, arrays, num_columns) if is_image else _draw_curves(axes, arrays)
    axes.set(xticks=[], yticks=[])
    if names:
        axes.set_yticks(centres, list(arrays), fontsize=8)
        axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_title(title, fontsize=10)
    return figure


def _draw_images(axes: Axes, rows: Mapping[str, np.ndarray], num_columns: int) -> list[float]:
    """All rows as one picture with thin gaps, grey on the scale of the first; returns the rows' centres."""
    first = next(iter(rows.values()))
    low, high = float(first.min()), float(first.max())
    height, width, channels = first.shape[1:]
    gap = max(1, round(0.04 * height))
    canvas = np.ones((len(rows) * (height + gap), num_columns * (width + gap), channels), np.float32)
    for i, values in enumerate(rows.values()):
        for j, value in enumerate(values):
            top, left = i * (height + gap), j * (width + gap)
            canvas[top : top + height, left : left + width] = np.clip((value - low) / max(high - low, 1e-12), 0, 1)
    axes.imshow(canvas if channels == 3 else canvas[..., 0], cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    return [i * (height + gap) + height / 2 for i in range(len(rows))]


def _draw_curves(axes: Axes, rows: Mapping[str, np.ndarray]) -> list[float]:
    """Each example as a curve over its flattened entries, all on one scale; returns the heights of the rows' centres."""
    low = min(float(values.min()) for values in rows.values())
    high = max(float(values.max()) for values in rows.values())
    for i, values in enumerate(rows.values()):
        for j, value in enumerate(values):
            x = np.linspace(j, j + 0.9, value.size)
            axes.plot(x, i + 0.45 - 0.9 * (value.ravel() - low) / max(high - low, 1e-12), linewidth=0.6, color="#3b6fb6")
    axes.invert_yaxis()
    return list(range(len(rows)))
