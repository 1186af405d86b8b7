"""All figures of a trained model."""

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

from vae_jax.corruptions import Corruption
from vae_jax.data import Dataset, sprites
from vae_jax.evaluation import Terms
from vae_jax.models import VQVAE
from vae_jax.models.trained import TrainedModel
from vae_jax.types import Array
from vae_jax.visualize.charts import latent_map, learning_curves
from vae_jax.visualize.files import save
from vae_jax.visualize.pictures import interpolations, reconstructions, samples, traversals

COOLER = 0.7  # temperature of the second figure of samples


def draw_all(
    model: TrainedModel,
    dataset: Dataset,
    terms: Terms,
    history: Sequence[Mapping[str, Any]],
    directory: pathlib.Path,
    *,
    corruption: Corruption | None = None,
) -> list[pathlib.Path]:
    """Writes every figure that the model and its data allow into the directory; `terms` are those of the test set."""
    key_data, key_corruption, key_prior = jax.random.split(jax.random.key(0), 3)
    batch = dataset.test.take(jnp.arange(min(16, dataset.test.num_examples)), key_data)
    x, y = batch["x"], batch["y"] if model.is_conditional else None
    figures = {
        "reconstructions": reconstructions(
            model, x, None if corruption is None else corruption(key_corruption, x), y=y
        )
    }
    is_whole = terms.kl is None or terms.kl.shape == terms.code.shape
    if is_whole and not isinstance(
        model.model, VQVAE
    ):  # else a latent is part of a code, of no meaning alone
        names = sprites.FACTOR_NAMES if dataset.name == "sprites" else ()
        figures["traversals"] = traversals(
            model, terms, y=None if y is None else y[0], factor_names=names
        )
    if len(x) > 1:
        figures["interpolations"] = interpolations(model, x, y=y)
    if np.isfinite(terms.rate).all():
        figures |= _all_samples(model, key_prior, y)
    if terms.code.shape[1] > 1 and np.isfinite(terms.code).all():
        figures["latent_map"] = latent_map(terms)
    if history:
        figures["learning_curves"] = learning_curves(history)
    directory.mkdir(parents=True, exist_ok=True)
    return [save(figure, directory / f"{name}.png") for name, figure in figures.items()]


def _all_samples(model: TrainedModel, key: Array, y: Array | None) -> dict[str, Figure]:
    figures = {"samples": samples(model, key, y=y)}
    try:
        figures["samples_cooler"] = samples(model, key, y=y, temperature=COOLER)
    except TypeError as error:
        if "temperature" not in str(error):
            raise
    return figures
