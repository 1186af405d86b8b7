"""All figures of a model of images, and the arrays that they show."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from matplotlib.figure import Figure

from vae_jax.corruptions import Corruption
from vae_jax.data import Dataset
from vae_jax.evaluation import Terms
from vae_jax.interpolation import Kind
from vae_jax.models.trained import TrainedModel
from vae_jax.types import Array
from vae_jax.visualize import image_grids, model_arrays, path_grids
from vae_jax.visualize.category_paths import has_categories
from vae_jax.visualize.latent_paths import has_paths
from vae_jax.visualize.later import Figures, Files, Start

LOW_TEMPERATURE = 0.7
NUM_EXAMPLES = 16


def plot_images(
    model: TrainedModel, dataset: Dataset, terms: Terms, corruption: Corruption | None, start: Start
) -> tuple[Figures, Files]:
    """Functions that draw grids of images, by name, and those that return the arrays of some.

    `start` begins to compute what they show. The function of a grid that would show nothing new
    returns None.
    """
    batch, key_corruption, key = model_arrays.take_examples(dataset.test, NUM_EXAMPLES)
    x, observed = batch["x"], batch.get("observed")
    y = batch["y"] if model.is_conditional else None
    corrupted = None if corruption is None else corruption(key_corruption, x)
    key_x, key_prior = jax.random.split(key)
    options: dict[str, Any] = {"corrupted": corrupted, "y": y, "observed": observed}
    arrays = start(lambda: model_arrays.reconstruct(model, x, key_x, **options))
    data = model_arrays.hide_missing(np.asarray(x), observed)
    shown: dict[str, Any] = {"value_range": dataset.test.value_range}
    figures: Figures = {
        "reconstructions": lambda: image_grids.reconstruction_rows(arrays(), **shown)
    }
    files: Files = {"reconstructions": arrays}
    if has_paths(model, terms):
        y_first = None if y is None else y[0]
        named = shown | {"factor_names": dataset.factor_names}
        images = start(lambda: path_grids.traverse(model, terms, y=y_first, **named))
        figures["traversals"] = lambda: path_grids.traversal_rows(
            images(), is_drawn=_is_drawn(arrays()), **shown
        )
    if len(x) > 1:
        kinds, codes = _describe_paths(model, terms)
        paths = start(lambda: path_grids.interpolate_pairs(model, data, y=y, kinds=kinds))
        figures["interpolations"] = lambda: path_grids.interpolation_rows(
            data, paths(), has_y=y is not None, codes=codes, is_drawn=_is_drawn(arrays()), **shown
        )
    if np.isfinite(terms.rate).all():
        classes = dataset.preparation.get("classes", ())
        above = {"data": data} | shown
        samples, files["samples"] = _plot_samples(model, y, key_prior, classes, above, start)
        figures |= samples
    return figures, files


def _plot_samples(
    model: TrainedModel,
    y: Array | None,
    key: Array,
    classes: Sequence[str],
    shown: dict[str, Any],
    start: Start,
) -> tuple[Figures, Callable[[], model_arrays.Arrays]]:
    """Functions for samples, also at `LOW_TEMPERATURE` if it changes them, and for their arrays."""
    labels = None if y is None else image_grids.sample_labels(model, y)
    num = image_grids.SIDE**2 if labels is None else len(labels)
    names = image_grids.row_names(model, labels, classes=classes)
    if labels is not None:
        shown = shown | {"num_classes": image_grids.count_classes(model, labels)}

    def sample(temperature: float | None = None) -> model_arrays.Arrays:
        return model_arrays.sample(model, key, num, y=labels, temperature=temperature)

    arrays = start(sample)
    figures: Figures = {"samples": lambda: image_grids.sample_rows(arrays(), names, **shown)}
    if model.supports("temperature"):
        cold = start(lambda: sample(LOW_TEMPERATURE))
        figures["samples_low_temperature"] = lambda: _plot_cold(arrays(), cold(), names, shown)
    return figures, arrays


def _plot_cold(
    arrays: model_arrays.Arrays,
    cold: model_arrays.Arrays,
    names: Sequence[str],
    shown: dict[str, Any],
) -> Figure | None:
    """Samples at `LOW_TEMPERATURE`, or None if they are the same, as of a uniform prior."""
    if all(np.array_equal(cold[name], arrays[name]) for name in cold):
        return None
    kept = {name: values for name, values in cold.items() if "mean" not in cold or name != "draw"}
    return image_grids.sample_rows(kept, names, temperature=LOW_TEMPERATURE, **shown)


def _describe_paths(model: TrainedModel, terms: Terms) -> tuple[tuple[Kind, ...], str]:
    """The kinds and codes of interpolations: between discrete codes there are lines alone."""
    if has_categories(terms):
        return ("linear",), "posterior probabilities"
    if not model.supports("traversals"):
        return ("linear",), "vectors of the discrete codes"
    return path_grids.KINDS, "codes"


def _is_drawn(arrays: model_arrays.Arrays) -> bool:
    """True if images are draws from p(x | z), which has no mean."""
    return "mean" not in arrays
