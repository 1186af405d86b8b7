"""All figures of a trained model, and the arrays that they show."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from matplotlib.figure import Figure

from vae_jax.corruptions import Corruption
from vae_jax.data import Dataset
from vae_jax.evaluation import Terms
from vae_jax.files import Path, write_atomically
from vae_jax.models.trained import TrainedModel
from vae_jax.types import Array
from vae_jax.visualize import image_grids, model_arrays, pixels
from vae_jax.visualize.category_paths import has_categories
from vae_jax.visualize.charts import learning_curves
from vae_jax.visualize.code_map import latent_map
from vae_jax.visualize.files import save
from vae_jax.visualize.latent_paths import has_paths
from vae_jax.visualize.sequence_figures import plot_sequences
from vae_jax.visualize.tables.plot import plot_table

LOW_TEMPERATURE = 0.7
NUM_EXAMPLES = 16


def plot_all(
    model: TrainedModel,
    dataset: Dataset,
    terms: Terms,
    history: Sequence[Mapping[str, Any]],
    directory: Path,
    *,
    corruption: Corruption | None = None,
    file_format: str = "png",
    projection: str = "pca",
    curves: Mapping[str, Any] | None = None,
) -> list[Path]:
    """Write every figure that the model and its data support; return the paths of the PNG files.

    Beside them, `reconstructions.npz` and `samples.npz` have the arrays that are shown, and
    `latents.npz` codes and labels; `reconstructions.txt` and `samples.txt`, or `samples.smi` of
    molecules, have lines of text. Time and memory do not grow with the data set.

    Args:
      model: the model to plot.
      dataset: its data; figures use the test set.
      terms: terms of the test set.
      history: lines of metrics.jsonl, for the learning curves.
      directory: destination of the files; created if missing.
      corruption: corrupts the inputs, for denoising models.
      file_format: png; pdf or svg: these files too.
      projection: method of the map of the codes, see `project`.
      curves: keywords of `learning_curves`.
    """
    figures, arrays, lines = _plot_data(model, dataset, terms, corruption)
    if len(terms.code) > 1 and terms.code.shape[1] > 1 and np.isfinite(terms.code).all():
        figures["latent_map"] = latent_map(
            terms,
            class_names=dataset.preparation.get("classes", ()),
            factor_names=dataset.factor_names,
            projection=projection,
        )
    if history:
        figures["learning_curves"] = learning_curves(history, **(curves or {}))
    arrays["latents"] = model_arrays.codes(terms, "test")
    directory.mkdir(parents=True, exist_ok=True)
    for name, values in arrays.items():
        model_arrays.save_arrays(values, directory / f"{name}.npz")
    for name, texts in lines.items():
        write_atomically(directory / name, "".join(f"{text}\n" for text in texts).encode())
    for name, figure in figures.items():
        if file_format != "png":
            save(figure, directory / f"{name}.{file_format}")
    return [save(figure, directory / f"{name}.png") for name, figure in figures.items()]


def _plot_data(
    model: TrainedModel, dataset: Dataset, terms: Terms, corruption: Corruption | None
) -> tuple[dict[str, Figure], dict[str, Any], dict[str, list[str]]]:
    """Figures of the form of the data by name, the arrays of some, and lines of text by file."""
    if dataset.text is not None:
        return plot_sequences(model, dataset, terms, corruption)
    plot = _plot_images if pixels.is_image(dataset.test.shape) else plot_table
    return *plot(model, dataset, terms, corruption), {}


def _plot_images(
    model: TrainedModel, dataset: Dataset, terms: Terms, corruption: Corruption | None
) -> tuple[dict[str, Figure], dict[str, Any]]:
    """Grids of images by name, and the arrays of some."""
    arrays, y, key = _reconstruct(model, dataset, corruption)
    x = arrays["data"]
    scale = dataset.test.value_range
    figures = {"reconstructions": image_grids.reconstruction_rows(arrays, value_range=scale)}
    files = {"reconstructions": arrays}
    is_drawn = "mean" not in arrays
    if has_paths(model, terms):
        figures["traversals"] = image_grids.traversals(
            model,
            terms,
            y=None if y is None else y[0],
            factor_names=dataset.factor_names,
            value_range=scale,
            is_drawn=is_drawn,
        )
    if len(x) > 1:
        paths = _describe_paths(model, terms)
        figures["interpolations"] = image_grids.interpolations(
            model, x, y=y, value_range=scale, is_drawn=is_drawn, **paths
        )
    if np.isfinite(terms.rate).all():
        classes = dataset.preparation.get("classes", ())
        samples, files["samples"] = _plot_samples(model, x, y, key, classes, scale)
        figures |= samples
    return figures, files


def _plot_samples(
    model: TrainedModel,
    x: np.ndarray,
    y: Array | None,
    key: Array,
    classes: Sequence[str],
    scale: tuple[float, float] | None,
) -> tuple[dict[str, Figure], model_arrays.Arrays]:
    """Samples above data x, also at `LOW_TEMPERATURE` if it changes them, and their arrays."""
    labels = None if y is None else image_grids.sample_labels(model, y)
    num = image_grids.SIDE**2 if labels is None else len(labels)
    names = image_grids.row_names(model, labels, classes=classes)
    options: dict[str, Any] = {"data": x, "value_range": scale}
    if labels is not None:
        options["num_classes"] = image_grids.count_classes(model, labels)
    arrays = model_arrays.sample(model, key, num, y=labels)
    figures = {"samples": image_grids.sample_rows(arrays, names, **options)}
    if model.supports("temperature"):
        cold = model_arrays.sample(model, key, num, y=labels, temperature=LOW_TEMPERATURE)
        if not _is_equal(cold, arrays):  # as of a uniform prior
            if "mean" in cold:
                del cold["draw"]
            options["temperature"] = LOW_TEMPERATURE
            figures["samples_low_temperature"] = image_grids.sample_rows(cold, names, **options)
    return figures, arrays


def _describe_paths(model: TrainedModel, terms: Terms) -> dict[str, Any]:
    """The options of interpolations: between discrete codes there are lines, and no codes."""
    if has_categories(terms):
        return {"kinds": ("linear",), "codes": "posterior probabilities"}
    if not model.supports("traversals"):
        return {"kinds": ("linear",), "codes": "vectors of the discrete codes"}
    return {}


def _is_equal(first: model_arrays.Arrays, second: model_arrays.Arrays) -> bool:
    return all(np.array_equal(first[name], second[name]) for name in first)


def _reconstruct(
    model: TrainedModel, dataset: Dataset, corruption: Corruption | None
) -> tuple[model_arrays.Arrays, Array | None, Array]:
    """Reconstructions of the first test examples, their y, and a key for samples."""
    batch, key_corruption, key_prior = model_arrays.take_examples(dataset.test, NUM_EXAMPLES)
    x = batch["x"]
    y = batch["y"] if model.is_conditional else None
    corrupted = None if corruption is None else corruption(key_corruption, x)
    key_x, key_prior = jax.random.split(key_prior)
    options = {"corrupted": corrupted, "y": y, "observed": batch.get("observed")}
    return model_arrays.reconstruct(model, x, key_x, **options), y, key_prior
