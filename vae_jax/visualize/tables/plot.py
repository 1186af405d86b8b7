"""All figures of a model of tables, and the arrays that they show."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

from vae_jax.corruptions import Corruption
from vae_jax.data import Dataset
from vae_jax.evaluation import Terms
from vae_jax.evaluation.latent_effects import LatentEffects, latent_effects
from vae_jax.evaluation.table_columns import NamedColumn, Rows, read_table
from vae_jax.evaluation.terms import USED
from vae_jax.models.trained import TrainedModel
from vae_jax.visualize import model_arrays
from vae_jax.visualize.tables.associations import associations
from vae_jax.visualize.tables.comparison import (
    NUM_ROWS,
    compare_associations,
    sample_rows,
    table_columns,
)
from vae_jax.visualize.tables.histograms import column_histograms
from vae_jax.visualize.tables.latents import latent_columns
from vae_jax.visualize.tables.scatter import column_reconstructions
from vae_jax.visualize.traversal_paths import has_traversals

NUM_CODES = 32  # rows over which the effect of a latent is averaged
MAX_LATENTS = 24
SEED = 0

Figures = dict[str, Figure]
Files = dict[str, Any]


def plot_table(
    model: TrainedModel, dataset: Dataset, terms: Terms, corruption: Corruption | None
) -> tuple[Figures, Files]:
    """Figures of the columns of a table by name, and the arrays that they show."""
    columns = table_columns(model, dataset)
    names = np.array([column.name for column in columns])
    test = read_table(dataset.test, NUM_ROWS)
    again = _reconstruct(model, test, corruption)
    data = test.values
    means = again.get("mean", again["draw"])
    figures = {"column_reconstructions": column_reconstructions(data, means, columns=columns)}
    files: Files = {"reconstructions": again | {"columns": names}}
    samples = None
    if np.isfinite(terms.rate).all():
        files["samples"] = sample_rows(model, test)
        samples = files["samples"]["draw"]
        comparison = compare_associations(dataset, columns, test, samples)
        if comparison.maps.num_pairs:
            figures["associations"] = associations(
                comparison.maps,
                comparison.columns,
                train=comparison.train_difference,
                num_columns=len(columns),
            )
            files["associations"] = {
                "columns": names[comparison.numbers],
                "data": comparison.maps.data,
                "samples": comparison.maps.samples,
            }
        files["samples"] = files["samples"] | {"columns": names}
    figures["columns"] = column_histograms(
        data, samples, reconstructions=again["draw"], columns=columns
    )
    _plot_latents(model, test, terms, columns, figures, files)
    return figures, files


def _reconstruct(
    model: TrainedModel, test: Rows, corruption: Corruption | None
) -> model_arrays.Arrays:
    key_corruption, key = jax.random.split(jax.random.key(SEED))
    x = jnp.asarray(test.x)
    corrupted = None if corruption is None else corruption(key_corruption, x)
    y = jnp.asarray(test.y) if model.is_conditional else None
    return model_arrays.reconstruct(model, x, key, corrupted=corrupted, y=y, observed=test.observed)


def _plot_latents(
    model: TrainedModel,
    test: Rows,
    terms: Terms,
    columns: tuple[NamedColumn, ...],
    figures: Figures,
    files: Files,
) -> None:
    """Add the map of latents and columns, if single latents have a meaning and p(x | z) a mean."""
    if not (
        has_traversals(terms) and model.supports("traversals") and np.isfinite(terms.code).all()
    ):
        return
    has_kl = terms.kl is not None and bool(np.isfinite(terms.kl).all())
    weight = terms.kl.mean(0) if terms.kl is not None and has_kl else terms.code.std(0)
    order = np.argsort(-weight, kind="stable")
    used = [int(d) for d in order if weight[d] >= (USED if has_kl else 0)]
    latents = used[:MAX_LATENTS] or [int(order[0])]
    effects = _measure_latents(model, test, terms, columns, latents)
    if effects is None:
        return
    unit = "KL" if has_kl else "sd"
    weights = weight[effects.latents]
    figures["latent_columns"] = latent_columns(
        effects, columns, weights=weights, unit=unit, note=_count(len(weight), used, has_kl)
    )
    files["latent_columns"] = {
        "columns": np.array([column.name for column in columns]),
        "latents": effects.latents,
        unit.lower(): weights,
        "change": effects.change,
        "is_variation": effects.is_variation,
    }


def _measure_latents(
    model: TrainedModel,
    test: Rows,
    terms: Terms,
    columns: tuple[NamedColumn, ...],
    latents: list[int],
) -> LatentEffects | None:
    rows = test.first(NUM_CODES)
    y = jnp.asarray(rows.y) if model.is_conditional else None
    codes = model.encode(
        jnp.asarray(rows.x), y=y, **model_arrays.given_observed(rows.observed)
    ).center
    counts = np.sum(~np.isnan(test.values), axis=0)
    spread = np.full(len(columns), np.nan)
    for number in np.flatnonzero(counts > 1):
        values = test.values[:, number]
        spread[number] = np.std(values[~np.isnan(values)])
    return latent_effects(
        lambda z: model.decode(z, y=y),
        np.asarray(codes),
        latents,
        center=terms.code.mean(0),
        stddev=terms.code.std(0),
        columns=columns,
        column_stddev=spread,
    )


def _count(num: int, used: list[int], has_kl: bool) -> str:
    """The number of latents that are shown, and of those that are used."""
    if not has_kl:
        return (
            "" if len(used) <= MAX_LATENTS else f"The {MAX_LATENTS} of {num} latents that vary most"
        )
    if not used:
        return f"No latent of {num} has a KL of {USED:g} nats; the one with the largest"
    text = f"{len(used)} of {num} latents have a KL of at least {USED:g} nats"
    return text if len(used) <= MAX_LATENTS else f"{text}; the {MAX_LATENTS} with the largest"
