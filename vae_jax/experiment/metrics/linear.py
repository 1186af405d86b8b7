"""A linear VAE compared with probabilistic PCA, and the configs that can be compared."""

import numpy as np

from vae_jax.config import Config
from vae_jax.config.rules import METRICS, metric, needs, one_of
from vae_jax.data import Dataset
from vae_jax.evaluation.ppca import compare_with_ppca
from vae_jax.experiment.builders.units import build_units
from vae_jax.experiment.metrics.context import Context, Numbers
from vae_jax.types import Array

PPCA_RULES = tuple(
    needs(metric("ppca"), allowed, "it compares a linear VAE with probabilistic PCA")
    for allowed in (
        one_of("model.kind", "vae"),
        one_of("model.network", "mlp"),
        one_of("model.hidden", ()),
        one_of("model.posterior", "diag_gaussian"),
        one_of("model.prior", "standard_normal"),
        one_of("model.likelihood", "gaussian"),
        one_of("model.sigma", "fixed", "scalar"),
        one_of("model.conditioning", "none"),
        one_of("data.streaming", False),
        one_of("data.missing", False),
        one_of("data.binarization", "none", "auto", "static", "threshold"),
    )
)


def explain_ppca(config: Config, dataset: Dataset) -> str | None:
    """A sigma that is the same for all entries in the units of the model must be so in x."""
    if "ppca" not in config.evaluation.metric_names or dataset.shape[2:] == (1,):
        return None
    if build_units(config, dataset) is None:
        return None
    return (
        f"config.{METRICS} = 'ppca': doesn't fit config.data.name = {config.data.name!r}; it needs "
        "images of one channel or in [0, 1], whose entries have one unit"
    )


def ppca(context: Context, key: Array) -> Numbers:
    """A linear VAE against the closed-form optimum of probabilistic PCA, on training examples."""
    source = context.dataset.train
    codes = context.codes(source, key)
    numbers = compare_with_ppca(
        context.model,
        context.params,
        np.asarray(source.take(np.arange(source.num_examples), key)["x"]),
        codes["code"],
        codes["logvar"],
        has_fixed_sigma=context.config.model.sigma == "fixed",
    )
    return {
        "estimator": f"{source.num_examples} training examples; the exact mean of their ELBO, and "
        "the maximum of the likelihood of probabilistic PCA with as many latents, in nats; errors "
        "are relative, the subspace angle is the largest principal angle in radians",
        **numbers,
    }
