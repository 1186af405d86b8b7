"""All figures of a trained model, and the arrays that they show."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from vae_jax.corruptions import Corruption
from vae_jax.data import Dataset
from vae_jax.evaluation import Terms
from vae_jax.files import Path, write_atomically
from vae_jax.models.trained import TrainedModel
from vae_jax.types import T
from vae_jax.visualize import model_arrays, pixels
from vae_jax.visualize.charts import learning_curves
from vae_jax.visualize.code_map import latent_map
from vae_jax.visualize.files import render
from vae_jax.visualize.image_figures import plot_images
from vae_jax.visualize.later import Figures, Files, Start, when_needed
from vae_jax.visualize.sequence_figures import plot_sequences
from vae_jax.visualize.tables.plot import plot_table


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
    start: Start = when_needed,
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
      start: begins the computations of images, such as in threads while figures are drawn.
    """
    figures, arrays, lines = _plot_data(model, dataset, terms, corruption, start)
    charts: Figures = {}
    if len(terms.code) > 1 and terms.code.shape[1] > 1 and np.isfinite(terms.code).all():
        charts["latent_map"] = lambda: latent_map(
            terms,
            class_names=dataset.preparation.get("classes", ()),
            factor_names=dataset.factor_names,
            projection=projection,
        )
    if history:
        charts["learning_curves"] = lambda: learning_curves(history, **(curves or {}))
    contents = {}  # of files; nothing is written before all is computed
    for name, draw in (charts | figures).items():  # first the charts, which wait for no program
        figure = draw()
        if figure is not None:
            for suffix in dict.fromkeys(("png", file_format)):
                contents[f"{name}.{suffix}"] = render(figure, suffix)
    for name, compute in arrays.items():
        contents[f"{name}.npz"] = model_arrays.to_npz(compute())
    contents["latents.npz"] = model_arrays.to_npz(model_arrays.codes(terms, "test"))
    for name, texts in lines.items():
        contents[name] = "".join(f"{text}\n" for text in texts).encode()
    directory.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        write_atomically(directory / name, content)
    return [directory / name for name in contents if name.endswith(".png")]


def _plot_data(
    model: TrainedModel, dataset: Dataset, terms: Terms, corruption: Corruption | None, start: Start
) -> tuple[Figures, Files, dict[str, list[str]]]:
    """Figures of the form of the data, the arrays of some, and lines of text by file."""
    if dataset.text is None and pixels.is_image(dataset.test.shape):
        return *plot_images(model, dataset, terms, corruption, start), {}
    lines: dict[str, list[str]] = {}
    if dataset.text is not None:
        figures, arrays, lines = plot_sequences(model, dataset, terms, corruption)
    else:
        figures, arrays = plot_table(model, dataset, terms, corruption)
    return _as_functions(figures), _as_functions(arrays), lines


def _as_functions(values: Mapping[str, T]) -> dict[str, Callable[[], T]]:
    """Functions that return these values."""
    return {name: functools.partial(lambda value: value, value) for name, value in values.items()}
