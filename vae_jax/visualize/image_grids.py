"""Image grids: reconstructions, samples, interpolations, traversals."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

from vae_jax.evaluation import Terms
from vae_jax.interpolation import Kind
from vae_jax.models.trained import TrainedModel
from vae_jax.nets.attributes import read_attribute
from vae_jax.types import Array
from vae_jax.visualize import model_arrays, pixels
from vae_jax.visualize.factors import match_factors
from vae_jax.visualize.grids import Groups, image_rows, shorten
from vae_jax.visualize.latent_paths import count_latents, make_paths
from vae_jax.visualize.model_arrays import Arrays, choose
from vae_jax.visualize.traversal_paths import MAX_CODES

MIN_CHANGE = 0.1  # share of the range of the data; a smaller change of a pixel is hardly visible
MAX_ROWS = 16
MAX_NAME = 24  # characters of a class
MAX_DECODED = 256  # latents whose effect is looked at
SIDE = 8  # samples in a row
DATA = "data"  # label of a row of data
SAME_NOISE = "; draws from p(x | z) with the same random numbers"
KINDS: tuple[Kind, ...] = ("linear", "spherical")

Range = tuple[float, float]


def reconstructions(
    model: TrainedModel,
    x: Array,
    corrupted: Array | None = None,
    *,
    y: Array | None = None,
    observed: Array | None = None,
    value_range: Range | None = None,
) -> Figure:
    """Test images above the mean of p(x | z) at the posterior center, and a draw from it.

    The corrupted inputs of a denoising model are shown in between. Values of x are missing where
    `observed` [B, *E] is False.
    """
    options = {"corrupted": corrupted, "y": y, "observed": observed}
    arrays = model_arrays.reconstruct(model, x, jax.random.key(0), **options)
    return reconstruction_rows(arrays, value_range=value_range)


def reconstruction_rows(arrays: Arrays, *, value_range: Range | None = None) -> Figure:
    """The arrays of `model_arrays.reconstruct` as a grid."""
    rows = {name: values for name, values in arrays.items() if name != "y"}
    description = "draw from p(x | z)"
    if "mean" in rows:
        description = "mean of p(x | z), and a draw from it,"
    title = f"Reconstructions of test examples: {description} at the center of the posterior"
    return image_rows(rows, title, value_range=value_range)


def samples(
    model: TrainedModel,
    key: Array,
    side: int = SIDE,
    *,
    y: Array | None = None,
    temperature: float | None = None,
    data: Array | None = None,
    value_range: Range | None = None,
) -> Figure:
    """Means of p(x | z) at draws of z from the prior, next to a draw of x at each z.

    A conditional model gets a row for each class, or for each y [B] or [B, C] if y is not a class
    label. A row of `data` [N, *E] is shown below. A `temperature` below 1 narrows the prior.

    Raises:
      UnsupportedError: the prior has no temperature.
    """
    y = None if y is None else sample_labels(model, y, side)
    num = side * side if y is None else len(y)
    arrays = model_arrays.sample(model, key, num, y=y, temperature=temperature)
    return sample_rows(
        arrays,
        row_names(model, y, side),
        temperature=temperature,
        data=data,
        value_range=value_range,
        num_classes=None if y is None else count_classes(model, y),
    )


def sample_labels(model: TrainedModel, y: Array, side: int = SIDE) -> Array:
    """The y of samples, `side` of each: of all classes, or of the first y if they are not classes.

    [M * side] for M classes, [side^2] or [side^2, C] for the first of y [B] or [B, C].
    """
    num_classes = count_classes(model, y)
    rows = y[:side] if num_classes is None else jnp.arange(min(num_classes, MAX_ROWS))
    return jnp.repeat(rows, side, axis=0)


def row_names(
    model: TrainedModel, y: Array | None, side: int = SIDE, classes: Sequence[str] = ()
) -> list[str]:
    """Labels of the rows of samples with y from `sample_labels`; "" for a model without y [B]."""
    if y is None:
        return [""] * side
    count = len(y) // side
    if count_classes(model, y) is None:
        return [f"y of example {i}" for i in range(count)]
    names = [str(classes[i]) if i < len(classes) else f"class {i}" for i in range(count)]
    names = [shorten(name, MAX_NAME) for name in names]
    numbered = {name for name in names if names.count(name) > 1} | {DATA}
    return [f"{name} ({i})" if name in numbered else name for i, name in enumerate(names)]


def count_classes(model: TrainedModel, y: Array) -> int | None:
    """The number of classes of a model whose y [B] are class labels; None for other y [B, C]."""
    return read_attribute(model.model.conditioning, "num_classes") if y.ndim == 1 else None


def sample_rows(
    arrays: Arrays,
    names: Sequence[str],
    *,
    temperature: float | None = None,
    data: Array | None = None,
    value_range: Range | None = None,
    num_classes: int | None = None,
) -> Figure:
    """A grid of the arrays of `model_arrays.sample` with named rows, above data [N, *E].

    If there are more classes, `num_classes`, than rows, the title says so.
    """
    blocks = [arrays[kind] for kind in ("mean", "draw") if kind in arrays]
    side = len(blocks[0]) // len(names)
    grids = [block.reshape(len(names), side, *block.shape[1:]) for block in blocks]
    rows = {
        name or " " * i: row
        for i, (name, row) in enumerate(zip(names, np.concatenate(grids, 1), strict=True))
    }
    conditions = "z, y" if "y" in arrays else "z"
    texts = {"mean": f"mean of p(x | {conditions})", "draw": f"draw from p(x | {conditions})"}
    headers = [texts[kind] for kind in ("mean", "draw") if kind in arrays]
    groups = Groups(
        rows=() if data is None else (len(rows),),
        columns=range(side, side * len(blocks), side),
        headers={side * i + (side - 1) / 2: text for i, text in enumerate(headers)},
    )
    if data is not None:
        rows[DATA] = np.asarray(data)[: side * len(blocks)]
    title = "Samples: z from the prior"
    title += "" if temperature is None else f" at temperature {temperature:g}"
    title += ", the same on both sides" if len(blocks) > 1 else ""
    if num_classes is not None and num_classes > len(names):
        title += f", a row for each of the first {len(names)} of {num_classes} classes"
    elif "y" in arrays:
        title += ", a row for each y"
    return image_rows(rows, title, value_range=value_range, groups=groups)


def interpolations(
    model: TrainedModel,
    x: Array | np.ndarray,
    num_pairs: int = 4,
    num_points: int = 10,
    *,
    y: Array | None = None,
    value_range: Range | None = None,
    kinds: Sequence[Kind] = KINDS,
    codes: str = "codes",
    is_drawn: bool = False,
) -> Figure:
    """Linear and spherical paths between the codes of pairs of images, with both images.

    Pair i has the images i and `num_pairs` + i of x [N, *E]. y, [N] or [N, C], belongs to the first
    image. NaN are missing values. The title names the `codes`, and says if p(x | z) `is_drawn` from
    because it has no mean.
    """
    num_pairs = min(num_pairs, len(x) // 2)
    start, end = (np.asarray(x)[i * num_pairs : (i + 1) * num_pairs] for i in range(2))
    options: dict[str, Any] = {"y": None if y is None else y[:num_pairs]}
    masks = tuple(~np.isnan(part) for part in (start, end))
    if not all(mask.all() for mask in masks):
        options["observed"] = masks
    rows = {}
    first, last = (jax.device_put(np.where(np.isnan(part), 0, part)) for part in (start, end))
    paths = {
        kind: np.asarray(model.interpolate(first, last, num_points, kind=kind, **options))
        for kind in kinds
    }
    for pair in range(num_pairs):
        ends = start[pair][None], end[pair][None]
        for kind, path in paths.items():
            rows[f"{pair + 1} {kind}"] = np.concatenate([ends[0], path[:, pair], ends[1]])
    parts: dict[float, str] = {
        i + 1: f"{part:.2f}" for i, part in enumerate(np.linspace(0, 1, num_points))
    }
    groups = Groups(
        rows=range(len(kinds), len(rows), len(kinds)),
        columns=(1, num_points + 1),
        headers={0: "data", **parts, num_points + 1: "data"},
    )
    title = f"Interpolations between the {codes} of two test examples, decoded"
    title += "" if y is None else " with the y of the first"
    title += SAME_NOISE if is_drawn else ""
    return image_rows(rows, title, value_range=value_range, groups=groups)


def traversals(
    model: TrainedModel,
    terms: Terms,
    num_points: int = 11,
    *,
    y: Array | None = None,
    factor_names: Sequence[str] = (),
    value_range: Range | None = None,
    is_drawn: bool = False,
) -> Figure:
    """Traversals of single latents from the first code of `terms`, in order of their KL.

    Shows the latents with a KL of at least `USED` nats along which some value changes by
    `MIN_CHANGE` of the range of the data; the title counts the others. If no latent has such a KL,
    the one with the largest is shown. All latents move over the same range around 0; the title says
    so if the prior is not the standard normal. A categorical latent takes each of its categories.
    Without a finite KL (an autoencoder), order and range come from the spread of the codes. If the
    labels are factors, a latent that clearly follows one shows its name. Images of a conditional
    model are for one y, [] or [C]. The title says if p(x | z) `is_drawn` from, without a mean.
    """
    paths = make_paths(model.model, terms, num_points)

    def decode(d: int) -> np.ndarray:
        return np.asarray(model.image(jax.device_put(paths.path(d)), y=y))

    latents = paths.used or paths.order[:1]
    visible, hidden = select_visible(decode, latents, value_range)
    hidden = paths.unused | hidden if paths.used else {"with a smaller KL": len(paths.order) - 1}
    index = choose(len(terms.code), MAX_CODES)
    y_of_codes = None if terms.y is None else np.asarray(terms.y)[index]
    values = paths.values(terms.code[index], list(visible))
    matches = match_factors(values, y_of_codes, factor_names)
    rows = {}
    for (d, images), factor in zip(visible.items(), matches, strict=True):
        rows[paths.label(d) + (f"\nfollows {factor}" if factor else "")] = images
    title = "Traversals from the first test image"
    title += ": latents over " if y is None else ", for one y: latents over "
    title += paths.describe_range(model.model) + (SAME_NOISE if is_drawn else "")
    groups = Groups(headers=dict(enumerate(paths.points)))
    title += f"\n{count_latents(len(paths.order), len(visible), hidden)}"
    return image_rows(rows, title, value_range=value_range, groups=groups)


def select_visible(
    decode: Callable[[int], np.ndarray], latents: Sequence[int], value_range: Range | None = None
) -> tuple[dict[int, np.ndarray], dict[str, int]]:
    """The first `MAX_ROWS` latents that change something, and how many are hidden by the reason.

    A latent changes something if some value of its images differs by `MIN_CHANGE` of the range of
    the data. If none does, the latent with the largest difference is returned.

    Args:
      decode: latent -> images [P, *E].
      latents: to choose from, in order; the first `MAX_DECODED` are decoded.
      value_range: range of the data; by default the range of the first latent's images.
    """
    visible: dict[int, np.ndarray] = {}
    best, best_change, num_visible = -1, -1.0, 0
    for d in latents[:MAX_DECODED]:
        images = decode(d)
        value_range = value_range or pixels.find_range([images])
        change = float(np.ptp(images, axis=0).max())
        if change > best_change or best < 0:
            best, best_change = d, change
        if change >= MIN_CHANGE * (value_range[1] - value_range[0]) > 0:
            num_visible += 1
            if len(visible) < MAX_ROWS:
                visible[d] = images
    num_decoded = min(len(latents), MAX_DECODED)
    unchanging = f"without a change of a pixel by {MIN_CHANGE:.0%} of the range of the data"
    if not num_visible:
        visible, num_visible = {best: decode(best)}, 1
        unchanging += ", as the one that changes most"
    hidden = {
        "further down in this order": num_visible - len(visible),
        "not examined": len(latents) - num_decoded,
        unchanging: num_decoded - num_visible,
    }
    return visible, hidden
