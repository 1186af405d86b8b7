"""All figures of a trained model."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from vae_jax.corruptions import Corruption
from vae_jax.data import Dataset, Source
from vae_jax.evaluation import Terms
from vae_jax.files import Path
from vae_jax.models.trained import TrainedModel
from vae_jax.types import Array, Batch
from vae_jax.visualize.charts import latent_map, learning_curves
from vae_jax.visualize.files import save
from vae_jax.visualize.image_grids import interpolations, reconstructions, samples, traversals

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
) -> list[Path]:
    """Write every figure that the model and its data support; return the paths.

    Args:
      model: the model to plot.
      dataset: its data; figures use the test set.
      terms: of the test set.
      history: lines of metrics.jsonl, for the learning curves.
      directory: for the PNG files; created if missing.
      corruption: of the inputs, for denoising models.
    """
    num_examples = min(NUM_EXAMPLES, dataset.test.num_examples)
    index = np.arange(num_examples, dtype=np.int32)
    batch, key_corruption, key_prior = _take(dataset.test, index, jax.random.key(0))
    x = batch["x"]
    y = batch["y"] if model.is_conditional else None
    corrupted = None if corruption is None else corruption(key_corruption, x)
    figures = {"reconstructions": reconstructions(model, x, corrupted, y=y)}
    is_per_latent = terms.kl is None or terms.kl.shape == terms.code.shape
    if is_per_latent and model.supports("traversals"):
        first_y = None if y is None else y[0]
        figures["traversals"] = traversals(
            model, terms, y=first_y, factor_names=dataset.factor_names
        )
    if num_examples > 1:
        figures["interpolations"] = interpolations(model, x, y=y)
    if np.isfinite(terms.rate).all():
        figures["samples"] = samples(model, key_prior, y=y)
        if model.supports("temperature"):
            figures["samples_low_temperature"] = samples(
                model, key_prior, y=y, temperature=LOW_TEMPERATURE
            )
    if terms.code.shape[1] > 1 and np.isfinite(terms.code).all():
        figures["latent_map"] = latent_map(terms)
    if history:
        figures["learning_curves"] = learning_curves(history)
    directory.mkdir(parents=True, exist_ok=True)
    return [save(figure, directory / f"{name}.png") for name, figure in figures.items()]


@jax.jit  # op by op, the source would be compiled as dozens of programs
def _take(source: Source, index: Array, key: Array) -> tuple[Batch, Array, Array]:
    key_data, key_corruption, key_prior = jax.random.split(key, 3)
    return source.take(index, key_data), key_corruption, key_prior
