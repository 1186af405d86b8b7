"""Image grids of paths through the latent space: interpolations and traversals.

One function computes the images of a grid and another draws them, so that a thread can compute them
while other figures are drawn.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from matplotlib.figure import Figure

from vae_jax.evaluation import Terms
from vae_jax.interpolation import Kind
from vae_jax.models.trained import TrainedModel
from vae_jax.types import Array
from vae_jax.visualize import pixels
from vae_jax.visualize.factors import match_factors
from vae_jax.visualize.grids import Groups, image_rows
from vae_jax.visualize.latent_paths import count_latents, make_paths
from vae_jax.visualize.model_arrays import choose
from vae_jax.visualize.traversal_paths import MAX_CODES

MIN_CHANGE = 0.1  # share of the range of the data; a smaller change of a pixel is hardly visible
MAX_ROWS = 16
MAX_DECODED = 256  # latents whose effect is looked at
SAME_NOISE = "; draws from p(x | z) with the same random numbers"
KINDS: tuple[Kind, ...] = ("linear", "spherical")

Range = tuple[float, float]


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
    paths = interpolate_pairs(model, x, num_pairs, num_points, y=y, kinds=kinds)
    options: dict[str, Any] = {"value_range": value_range, "codes": codes, "is_drawn": is_drawn}
    return interpolation_rows(x, paths, has_y=y is not None, **options)


def interpolate_pairs(
    model: TrainedModel,
    x: Array | np.ndarray,
    num_pairs: int = 4,
    num_points: int = 10,
    *,
    y: Array | None = None,
    kinds: Sequence[Kind] = KINDS,
) -> dict[str, np.ndarray]:
    """The paths [num_points, num_pairs, *E] of each kind that `interpolations` shows."""
    start, end = _pairs(x, num_pairs)
    options: dict[str, Any] = {"y": None if y is None else y[: len(start)]}
    masks = tuple(~np.isnan(part) for part in (start, end))
    if not all(mask.all() for mask in masks):
        options["observed"] = masks
    first, last = (jax.device_put(np.where(np.isnan(part), 0, part)) for part in (start, end))
    return {
        kind: np.asarray(model.interpolate(first, last, num_points, kind=kind, **options))
        for kind in kinds
    }


def _pairs(x: Array | np.ndarray, num_pairs: int) -> list[np.ndarray]:
    """The first and the last images of at most `num_pairs` pairs."""
    num_pairs = min(num_pairs, len(x) // 2)
    return [np.asarray(x)[i * num_pairs : (i + 1) * num_pairs] for i in range(2)]


def interpolation_rows(
    x: Array | np.ndarray,
    paths: Mapping[str, np.ndarray],
    *,
    has_y: bool = False,
    value_range: Range | None = None,
    codes: str = "codes",
    is_drawn: bool = False,
) -> Figure:
    """The paths of `interpolate_pairs` between images x [N, *E] as a grid."""
    num_points, num_pairs = next(iter(paths.values())).shape[:2]
    start, end = _pairs(x, num_pairs)
    rows = {}
    for pair in range(num_pairs):
        ends = start[pair][None], end[pair][None]
        for kind, path in paths.items():
            rows[f"{pair + 1} {kind}"] = np.concatenate([ends[0], path[:, pair], ends[1]])
    parts: dict[float, str] = {
        i + 1: f"{part:.2f}" for i, part in enumerate(np.linspace(0, 1, num_points))
    }
    groups = Groups(
        rows=range(len(paths), len(rows), len(paths)),
        columns=(1, num_points + 1),
        headers={0: "data", **parts, num_points + 1: "data"},
    )
    title = f"Interpolations between the {codes} of two test examples, decoded"
    title += " with the y of the first" if has_y else ""
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
    options: dict[str, Any] = {"factor_names": factor_names, "value_range": value_range}
    images = traverse(model, terms, num_points, y=y, **options)
    return traversal_rows(images, value_range=value_range, is_drawn=is_drawn)


@dataclasses.dataclass(frozen=True)
class TraversalImages:
    """What `traversals` shows.

    Attributes:
      rows: images [P, *E] by the label of their latent.
      points: places on a path [P].
      notes: the range of the paths, and the number of latents shown and of others.
      has_y: True if the images are for one y.
    """

    rows: dict[str, np.ndarray]
    points: list[str]
    notes: tuple[str, str]
    has_y: bool


def traverse(
    model: TrainedModel,
    terms: Terms,
    num_points: int = 11,
    *,
    y: Array | None = None,
    factor_names: Sequence[str] = (),
    value_range: Range | None = None,
) -> TraversalImages:
    """The images and labels of `traversals`, for one y, [] or [C], of a conditional model."""
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
    counts = count_latents(len(paths.order), len(visible), hidden)
    return TraversalImages(
        rows, paths.points, (paths.describe_range(model.model), counts), y is not None
    )


def traversal_rows(
    images: TraversalImages, *, value_range: Range | None = None, is_drawn: bool = False
) -> Figure:
    """The images of `traverse` as a grid."""
    places, counts = images.notes
    title = "Traversals from the first test image"
    title += ", for one y: latents over " if images.has_y else ": latents over "
    title += places + (SAME_NOISE if is_drawn else "")
    groups = Groups(headers=dict(enumerate(images.points)))
    title += f"\n{counts}"
    return image_rows(images.rows, title, value_range=value_range, groups=groups)


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
