"""Requirements of the metrics: combinations with model and data that are rejected, and why."""

import functools
from collections.abc import Callable, Collection

import jax
import numpy as np

from vae_jax.config import Config, value_of
from vae_jax.config.rules import Rule, all_but, explained_rule, matches, needs
from vae_jax.data import ArraySource, Dataset, Source
from vae_jax.errors import InputError, check_choice
from vae_jax.evaluation.features import load_features
from vae_jax.experiment.builders import build_anomalies
from vae_jax.experiment.builders.lookup import pick
from vae_jax.experiment.builders.parts import LIKELIHOODS, POSTERIORS
from vae_jax.experiment.metrics.context import as_batch, first_example, subset
from vae_jax.experiment.metrics.registry import METRICS
from vae_jax.experiment.metrics.udr import UDR

PATH = "evaluation.metrics"
DENSITIES = ("likelihood", "annealed", "gap", "decomposition", "compression")


_metric_needs = functools.partial(needs, PATH)


def check_metric_names(config: Config) -> None:
    """Raises InputError for the first unknown metric."""
    for name in config.evaluation.metric_names:
        check_choice(f"config.{PATH}", name, (*METRICS, UDR))


def _needs_data(
    metrics: Collection[str], field: str, is_met: Callable[[Config, Dataset], bool], why: str
) -> Rule:
    """Each of the metrics needs a property of the data that depends on `field`."""
    return Rule(
        lambda config, dataset: bool(matches(config, PATH, metrics)),
        is_met,
        lambda config, dataset: (
            f"config.{PATH} = {matches(config, PATH, metrics)[0]!r}: doesn't fit config.{field} = "
            f"{value_of(config, field)!r}; {why}"
        ),
    )


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


def _explain_anomalies(config: Config, dataset: Dataset) -> str | None:
    name, source = build_anomalies(config)
    field = f"config.evaluation.anomaly = {config.evaluation.anomaly!r}"
    if source.shape != dataset.shape:
        return (
            f"{field}: its examples have shape {source.shape}, those of {dataset.name} have "
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
    """Bytes of 0 and 1 beside bytes of 0 to 255."""
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
    try:
        shape = tuple(load_features(path).model.shape)
    except InputError as error:
        return f"config.evaluation.features: {error}"
    if shape != dataset.shape:
        return (
            f"config.evaluation.features = {path!r}: made for images {shape}, must be for "
            f"{dataset.shape}"
        )
    return None


RULES = (
    _metric_needs(("codes",), "model.kind", ("vq",), "there is no codebook"),
    _metric_needs(
        DENSITIES,
        "model.posterior",
        all_but(POSTERIORS, "deterministic"),
        "a deterministic posterior has no density to weight samples by, and the model no "
        "likelihood",
    ),
    _metric_needs(
        DENSITIES,
        "model.kind",
        ("vae", "hierarchical"),
        "the encoder selects codes, it does not sample them from a density",
    ),
    _metric_needs(
        ("annealed",),
        "model.posterior",
        all_but(POSTERIORS, "deterministic", "gumbel_softmax"),
        "its moves need continuous latents",
    ),
    _metric_needs(
        ("gap", "compression", UDR), "model.kind", ("vae",), "it needs one layer of latents"
    ),
    _metric_needs(
        ("gap", "compression"),
        "model.posterior",
        ("diag_gaussian",),
        "it needs a diagonal Gaussian posterior",
    ),
    _metric_needs((UDR,), "model.posterior", ("diag_gaussian",), "it needs the KL of each latent"),
    _metric_needs(
        (UDR,),
        "model.prior",
        ("standard_normal", "diag_gaussian"),
        "it needs the KL of each latent",
    ),
    _metric_needs(
        ("compression",),
        "model.prior",
        ("standard_normal",),
        "latents are cut into bins of N(0, 1)",
    ),
    _metric_needs(
        ("compression", "representation", "disentanglement", "anomaly"),
        "model.conditioning",
        ("none",),
        "the model is given the label of every example",
    ),
    _metric_needs(
        ("compression",),
        "model.likelihood",
        ("bernoulli", "discretized_logistic", "logistic_mixture", "categorical", "beta_binomial"),
        "it needs a probability mass on a few values, independent given z",
    ),
    _metric_needs(
        ("augmentation",), "model.conditioning", ("label",), "it needs samples of a class"
    ),
    _metric_needs(
        ("quality", "augmentation"),
        "model.posterior",
        all_but(POSTERIORS, "deterministic"),
        "an autoencoder has nothing to sample from",
    ),
    _metric_needs(
        ("quality", "augmentation"),
        "model.likelihood",
        all_but(LIKELIHOODS, "mixed", "negative_binomial"),
        "its samples are no images",
    ),
    _metric_needs(
        ("reconstruction",),
        "model.likelihood",
        all_but(LIKELIHOODS, "autoregressive"),
        "p(x | z) has no closed-form mean",
    ),
    _metric_needs(("anomaly",), "data.streaming", (False,), "it compares with examples in memory"),
    _metric_needs(("accuracy",), "objective.name", ("m2",), "there is no classifier"),
)
DATA_RULES = (
    _needs_data(
        ("compression",),
        "data.binarization",
        _has_symbols,
        "the likelihood has no mass on some of these values",
    ),
    _needs_data(
        ("disentanglement",),
        "data.name",
        _has_factors,
        "it needs labels [N, F] of whole numbers, the factors of each example",
    ),
    _needs_data(
        ("representation", "augmentation"),
        "data.name",
        _has_labels,
        "the training and the test examples need labels",
    ),
    _needs_data(
        ("quality",),
        "data.name",
        lambda config, dataset: len(dataset.shape) == 3,
        "its features are those of images [H, W, C]",
    ),
    _needs_data(
        ("quality",),
        "evaluation.features",
        _has_features,
        "without labels, no feature network can be trained: name a saved one",
    ),
    explained_rule(
        lambda config, dataset: "anomaly" in config.evaluation.metric_names, _explain_anomalies
    ),
    explained_rule(
        lambda config, dataset: (
            "quality" in config.evaluation.metric_names and bool(config.evaluation.features)
        ),
        _explain_features,
    ),
)
