"""Requirements of the metrics: combinations with model and data that are rejected, and why."""

import functools
from collections.abc import Callable

import jax
import numpy as np

from vae_jax.config import Config, value_of
from vae_jax.config.model import COUNT_LIKELIHOODS
from vae_jax.config.rules import METRICS as PATH
from vae_jax.config.rules import (
    Condition,
    Rule,
    all_but,
    metric,
    needs,
    objective,
    one_of,
)
from vae_jax.data import ArraySource, Dataset, Source
from vae_jax.errors import InputError, check_choice
from vae_jax.evaluation.features import load_features
from vae_jax.experiment.builders import build_anomalies
from vae_jax.experiment.builders.compatibility import CLOSED_FORM, CONTINUOUS, RANDOM
from vae_jax.experiment.builders.data_compatibility import has_missing
from vae_jax.experiment.builders.lookup import pick
from vae_jax.experiment.builders.parts import LIKELIHOODS, likelihood_names
from vae_jax.experiment.builders.text_compatibility import TEXT
from vae_jax.experiment.metrics.context import as_batch, first_example, subset
from vae_jax.experiment.metrics.linear import PPCA_RULES, explain_ppca
from vae_jax.experiment.metrics.molecules import explain_molecules
from vae_jax.experiment.metrics.registry import METRICS
from vae_jax.experiment.metrics.udr import UDR

DENSITIES = ("likelihood", "annealed", "gap", "decomposition", "compression")


def check_metric_names(config: Config) -> None:
    """Raises InputError for the first unknown metric."""
    for name in config.evaluation.metric_names:
        check_choice(f"config.{PATH}", name, (*METRICS, UDR))


def _needs_data(
    condition: Condition, field: str, is_met: Callable[[Config, Dataset], bool], why: str
) -> Rule:
    """Each of the metrics needs a property of the data that depends on `field`."""

    def rule(config: Config, dataset: Dataset) -> str | None:
        if not condition.holds(config) or is_met(config, dataset):
            return None
        return (
            f"config.{PATH} = {condition.first(config)!r}: doesn't fit config.{field} = "
            f"{value_of(config, field)!r}; {why}"
        )

    return rule


def _labels(dataset: Dataset) -> np.ndarray | None:
    """The label of the first test example, [1] or [1, C], if training examples have labels too."""
    batch = first_example(dataset)
    train_batch = as_batch(subset(dataset.train, 1), jax.random.key(0))
    return np.asarray(batch["y"]) if "y" in batch and "y" in train_batch else None


def _has_labels(config: Config, dataset: Dataset) -> bool:
    del config
    return _labels(dataset) is not None


def _has_factors(config: Config, dataset: Dataset) -> bool:
    del config
    y = _labels(dataset)
    return y is not None and y.ndim == 2 and y.dtype.kind in "iu"


def _has_features(config: Config, dataset: Dataset) -> bool:
    y = _labels(dataset)
    return bool(config.evaluation.features) or (y is not None and y.dtype.kind in "iu")


def _has_symbols(config: Config, dataset: Dataset) -> bool:
    name = config.model.likelihood
    if name == "bernoulli":
        return dataset.preparation["binary"]
    return name != "logistic_mixture" or dataset.shape[-1] != 3


def _no_anomalies(config: Config) -> str | None:
    is_named = config.evaluation.anomaly or config.data.leave_out >= 0
    if "anomaly" not in config.evaluation.metric_names or is_named:
        return None
    return (
        "config.evaluation.anomaly = '': name other data, or leave a class out with "
        "config.data.leave_out"
    )


def _few_candidates(config: Config) -> str | None:
    c = config.evaluation
    if "search" not in c.metric_names or c.search_rounds <= c.search_budget:
        return None
    return (
        f"config.evaluation.search_rounds = {c.search_rounds}: must be at most "
        f"config.evaluation.search_budget = {c.search_budget}, one candidate each"
    )


def _explain_anomalies(config: Config, dataset: Dataset) -> str | None:
    if "anomaly" not in config.evaluation.metric_names:
        return None
    name, source = build_anomalies(config)
    field = f"config.evaluation.anomaly = {config.evaluation.anomaly!r}"
    if source.shape != dataset.shape:
        return (
            f"{field}: its examples have shape {source.shape}, {dataset.name} has "
            f"{dataset.shape}; they must be alike"
        )
    low, high = source.value_range
    likelihood = pick(LIKELIHOODS, "model.likelihood", config.model.likelihood)
    smallest, largest = likelihood(config.model, dataset.shape).support
    if low < smallest or high > largest:
        return (
            f"{field}: {name} has values from {low:g} to {high:g}, must be in the range of "
            f"likelihood {config.model.likelihood!r}, {smallest:g} to {largest:g}"
        )
    return _explain_other_scale(field, source, dataset.test)


def _explain_other_scale(field: str, anomalous: Source, normal: Source) -> str | None:
    """Bytes of 0 and 1 compared with bytes of 0 to 255."""
    if not isinstance(anomalous, ArraySource) or not isinstance(normal, ArraySource):
        return None
    both_bytes = anomalous.images.dtype == normal.images.dtype == np.uint8
    if not both_bytes or anomalous.scale == normal.scale:
        return None
    holds = {1.0: "0 and 1"}
    return (
        f"{field}: stored as {holds.get(anomalous.scale, '0 to 255')}, the data as "
        f"{holds.get(normal.scale, '0 to 255')}; both must have one scale"
    )


def _explain_features(config: Config, dataset: Dataset) -> str | None:
    path = config.evaluation.features
    if not path or "quality" not in config.evaluation.metric_names:
        return None
    try:
        shape = tuple(load_features(path).model.shape)
    except InputError as error:
        return str(error.under("config.evaluation", path="config.evaluation.features"))
    if shape != dataset.shape:
        return (
            f"config.evaluation.features = {path!r}: made for images {shape}, must be for "
            f"{dataset.shape}"
        )
    return None


_kind = functools.partial(one_of, "model.kind")
_posterior = functools.partial(one_of, "model.posterior")
_likelihood = functools.partial(one_of, "model.likelihood")
_conditioning = functools.partial(one_of, "model.conditioning")

RULES: tuple[Rule, ...] = (
    needs(metric("codes"), _kind("vq"), "there is no codebook"),
    needs(
        metric(*DENSITIES),
        _posterior(*RANDOM),
        "a deterministic posterior has no density to weight samples by, and the model no "
        "likelihood",
    ),
    needs(
        metric("annealed", "gap", "decomposition", "compression", "search", UDR),
        _kind("vae", "vq", "hierarchical"),
        "it has no latents",
    ),
    needs(
        metric(*DENSITIES),
        _kind("vae", "hierarchical", "language_model"),
        "the encoder selects codes, it does not sample them from a density",
    ),
    needs(metric("annealed"), _posterior(*CONTINUOUS), "its moves need continuous latents"),
    needs(
        metric("gap", "compression", "search", UDR), _kind("vae"), "it needs one layer of latents"
    ),
    needs(metric("search"), _posterior(*CONTINUOUS), "it moves codes by gradients"),
    needs(
        metric("gap", "compression"),
        _posterior("diag_gaussian"),
        "it needs a diagonal Gaussian posterior",
    ),
    needs(metric(UDR), _posterior("diag_gaussian"), "it needs the KL of each latent"),
    needs(
        metric(UDR),
        one_of("model.prior", *(p for q, p in CLOSED_FORM if q == "diag_gaussian")),
        "it needs the KL of each latent",
    ),
    needs(
        metric("compression"),
        one_of("model.prior", "standard_normal"),
        "latents are cut into bins of N(0, 1)",
    ),
    needs(
        metric("compression", "representation", "disentanglement", "anomaly", "search"),
        _conditioning("none"),
        "the model is given the label of every example",
    ),
    needs(
        metric("compression"),
        _likelihood(
            *likelihood_names(lambda p: bool(p.binary or p.levels) and not p.autoregressive)
        ),
        "it needs a probability mass on a few values, independent given z",
    ),
    *PPCA_RULES,
    needs(metric("augmentation"), _conditioning("label"), "it needs samples of a class"),
    needs(
        metric("quality", "augmentation", "molecules"),
        _posterior(*RANDOM),
        "an autoencoder has nothing to sample from",
    ),
    needs(
        metric("quality", "augmentation"),
        _likelihood(*all_but(LIKELIHOODS, "mixed", *COUNT_LIKELIHOODS)),
        "its samples are no images",
    ),
    needs(
        metric("reconstruction"),
        _likelihood(*likelihood_names(lambda p: not p.autoregressive)),
        "p(x | z) has no closed-form mean",
    ),
    needs(
        metric("imputation"),
        _likelihood(*likelihood_names(lambda p: not p.autoregressive)),
        "given z, its entries depend on each other, so that hidden ones can't be left out",
    ),
    needs(
        metric("anomaly"), one_of("data.streaming", False), "it compares with examples in memory"
    ),
    needs(metric("sequences"), TEXT, "its examples are no sequences of tokens"),
    needs(metric("accuracy"), objective("m2"), "there is no classifier"),
    _no_anomalies,
    _few_candidates,
)
DATA_RULES: tuple[Rule, ...] = (
    _needs_data(
        metric("compression"),
        "data.binarization",
        _has_symbols,
        "the likelihood has no mass on some of these values",
    ),
    _needs_data(
        metric("imputation"),
        "model.likelihood",
        lambda config, dataset: (
            config.model.likelihood != "logistic_mixture" or dataset.shape[-1] != 3
        ),
        "the channels of a pixel depend on each other given z; use 'discretized_logistic'",
    ),
    _needs_data(
        metric("disentanglement"),
        "data.name",
        _has_factors,
        "it needs integer labels [N, F], the factors of each example",
    ),
    _needs_data(
        metric("representation", "augmentation"),
        "data.name",
        _has_labels,
        "the training and the test examples need labels",
    ),
    _needs_data(
        metric("compression", "quality", "augmentation"),
        "data.missing",
        lambda config, dataset: not has_missing(dataset),
        "it needs examples without missing values",
    ),
    _needs_data(
        metric("quality"),
        "data.name",
        lambda config, dataset: len(dataset.shape) == 3,
        "its features need images [H, W, C]",
    ),
    _needs_data(
        metric("quality"),
        "evaluation.features",
        _has_features,
        "without labels, no feature network can be trained: name a saved one",
    ),
    explain_ppca,
    _explain_anomalies,
    _explain_features,
    functools.partial(explain_molecules, name="molecules"),
    functools.partial(explain_molecules, name="search"),
)
