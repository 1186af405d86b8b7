"""What each metric asks of model and data: one table, by which a request is refused before anything is trained."""

from collections.abc import Callable, Collection
from typing import NamedTuple

import jax
import numpy as np

from vae_jax.config import Config, value_of
from vae_jax.data import Dataset
from vae_jax.errors import InputError, check_choice
from vae_jax.evaluation.features import load_features
from vae_jax.experiment.builders import build_anomalies
from vae_jax.experiment.metrics.context import example_of, part_of, whole
from vae_jax.experiment.metrics.registry import METRICS
from vae_jax.experiment.metrics.udr import UDR


class Need(NamedTuple):
    """Each of the metrics needs `is_met`, which is a matter of `field`; `why` says what is wrong where it isn't."""

    metrics: Collection[str]
    field: str
    is_met: Callable[[Config, Dataset], bool]
    why: str


def _value(field: str, *allowed: object) -> Callable[[Config, Dataset], bool]:
    return lambda config, dataset: value_of(config, field) in allowed


def _not(field: str, *excluded: object) -> Callable[[Config, Dataset], bool]:
    return lambda config, dataset: value_of(config, field) not in excluded


def _labels(config: Config, dataset: Dataset) -> np.ndarray | None:
    """Those of the first test example, [1] or [1, C], where the training examples have labels too."""
    del config
    batch = example_of(dataset)
    has_both = "y" in batch and "y" in whole(part_of(dataset.train, 1), jax.random.key(0))
    return np.asarray(batch["y"]) if has_both else None


def _has_labels(config: Config, dataset: Dataset) -> bool:
    return _labels(config, dataset) is not None


def _has_factors(config: Config, dataset: Dataset) -> bool:
    y = _labels(config, dataset)
    return y is not None and y.ndim == 2 and y.dtype.kind in "iu"


def _has_images(config: Config, dataset: Dataset) -> bool:
    del config
    return len(dataset.shape) == 3


def _has_features(config: Config, dataset: Dataset) -> bool:
    y = _labels(config, dataset)
    return bool(config.evaluation.features) or (y is not None and y.dtype.kind in "iu")


def _has_symbols(config: Config, dataset: Dataset) -> bool:
    c = config.model
    if c.likelihood == "bernoulli":
        return dataset.preparation["binary"]
    return c.likelihood != "logistic_mixture" or dataset.shape[-1] != 3


POINT = "a deterministic posterior has no density to weigh draws by, and the model no likelihood"
CODES = "its codes are chosen by the encoder, not drawn from a density"
NEEDS = (
    Need(("codes",), "model.kind", _value("model.kind", "vq"), "there is no codebook"),
    Need(
        ("likelihood", "annealed", "gap", "decomposition", "compression"),
        *("model.posterior", _not("model.posterior", "deterministic"), POINT),
    ),
    Need(
        ("likelihood", "annealed", "gap", "decomposition", "compression"),
        "model.kind",
        _not("model.kind", "vq"),
        CODES,
    ),
    Need(
        ("annealed",),
        "model.posterior",
        _not("model.posterior", "gumbel_softmax"),
        "its moves need latents that are continuous",
    ),
    Need(
        ("gap", "compression"),
        "model.kind",
        _value("model.kind", "vae"),
        "it needs one layer of latents",
    ),
    Need(
        ("gap", "compression"),
        *(
            "model.posterior",
            _value("model.posterior", "diag_gaussian"),
            "it needs a diagonal Gaussian posterior",
        ),
    ),
    Need((UDR,), "model.kind", _value("model.kind", "vae"), "it needs one layer of latents"),
    Need(
        (UDR,),
        "model.posterior",
        _value("model.posterior", "diag_gaussian"),
        "it needs the KL of each latent",
    ),
    Need(
        (UDR,),
        "model.prior",
        _value("model.prior", "standard_normal", "diag_gaussian"),
        "it needs the KL of each latent",
    ),
    Need(
        ("compression",),
        "model.prior",
        _value("model.prior", "standard_normal"),
        "latents are cut into bins of N(0, 1)",
    ),
    Need(
        ("compression", "representation", "disentanglement", "anomaly"),
        *(
            "model.conditioning",
            _value("model.conditioning", "none"),
            "the model is given the label of every example",
        ),
    ),
    Need(
        ("compression",),
        "model.likelihood",
        _value(
            "model.likelihood",
            "bernoulli",
            "discretized_logistic",
            "logistic_mixture",
            "categorical",
            "beta_binomial",
        ),
        "it needs masses over a few values, independent given z",
    ),
    Need(
        ("compression",),
        "data.binarization",
        _has_symbols,
        "the values are not those that the likelihood has masses on",
    ),
    Need(
        ("disentanglement",),
        "data.name",
        _has_factors,
        "it needs labels [N, F] of whole numbers, the factors of each example",
    ),
    Need(
        ("representation", "augmentation"),
        "data.name",
        _has_labels,
        "the training and the test examples need labels",
    ),
    Need(
        ("augmentation",),
        "model.conditioning",
        _value("model.conditioning", "label"),
        "it needs samples of a class",
    ),
    Need(("quality",), "data.name", _has_images, "its features are those of images [H, W, C]"),
    Need(
        ("quality",),
        *(
            "evaluation.features",
            _has_features,
            "without labels, no feature network can be trained: name a saved one",
        ),
    ),
    Need(
        ("quality", "augmentation"),
        *(
            "model.posterior",
            _not("model.posterior", "deterministic"),
            "an autoencoder has nothing to draw samples from",
        ),
    ),
    Need(
        ("quality", "augmentation"),
        *(
            "model.likelihood",
            _not("model.likelihood", "mixed", "negative_binomial"),
            "its samples are no images",
        ),
    ),
    Need(
        ("reconstruction",),
        "model.likelihood",
        _not("model.likelihood", "autoregressive"),
        "it has no mean of p(x | z) at hand",
    ),
    Need(
        ("anomaly",),
        "data.streaming",
        _value("data.streaming", False),
        "it compares with examples in memory",
    ),
    Need(("accuracy",), "objective.name", _value("objective.name", "m2"), "there is no classifier"),
)


def check_metrics(config: Config, dataset: Dataset) -> None:
    """Raises InputError for the first metric that doesn't exist, or that model or data don't fit."""
    for metric in config.evaluation.metric_names:
        check_choice("config.evaluation.metrics", metric, (*METRICS, UDR))
        for need in NEEDS:
            if metric in need.metrics and not need.is_met(config, dataset):
                raise InputError(
                    f"config.evaluation.metrics = {metric!r}: doesn't fit config.{need.field} = "
                    f"{value_of(config, need.field)!r}; {need.why}"
                )
    if "anomaly" in config.evaluation.metric_names:
        _check_anomalies(config, dataset)
    if "quality" in config.evaluation.metric_names and config.evaluation.features:
        _check_features(config, dataset)


def _check_anomalies(config: Config, dataset: Dataset) -> None:
    name, source = build_anomalies(config)
    if source.shape != dataset.shape:
        raise InputError(
            f"config.evaluation.anomaly = {config.evaluation.anomaly!r}: its examples have shape {source.shape}, those of "
            f"{dataset.name} {dataset.shape}; they must be alike"
        )
    (low, high), ours = source.value_range, dataset.test.value_range
    if low < ours[0] or high > ours[1]:
        raise InputError(
            f"config.evaluation.anomaly = {config.evaluation.anomaly!r}: {name} has values from {low:g} to {high:g}, must be "
            f"in the range of {dataset.name}, {ours[0]:g} to {ours[1]:g}"
        )


def _check_features(config: Config, dataset: Dataset) -> None:
    path = config.evaluation.features
    try:
        shape = tuple(load_features(path).model.shape)
    except InputError as error:
        raise InputError(f"config.evaluation.features: {error}") from error
    if shape != dataset.shape:
        raise InputError(
            f"config.evaluation.features = {path!r}: made for images {shape}, must be for {dataset.shape}"
        )
