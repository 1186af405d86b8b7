"""Image grids: reconstructions and samples, and those of paths from `path_grids`."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

from vae_jax.models.trained import TrainedModel
from vae_jax.nets.attributes import read_attribute
from vae_jax.types import Array
from vae_jax.visualize import model_arrays
from vae_jax.visualize.grids import Groups, image_rows, shorten
from vae_jax.visualize.model_arrays import Arrays
from vae_jax.visualize.path_grids import MAX_ROWS, Range
from vae_jax.visualize.path_grids import interpolations as interpolations  # the other grids
from vae_jax.visualize.path_grids import traversals as traversals

MAX_NAME = 24  # characters of a class
SIDE = 8  # samples in a row
DATA = "data"  # label of a row of data


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
