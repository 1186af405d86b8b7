"""Build the units of a data set for the likelihood of a config."""

import numpy as np

from vae_jax.config import Config
from vae_jax.data import Dataset
from vae_jax.data.kinds import kind_of
from vae_jax.experiment.builders.lookup import pick
from vae_jax.experiment.builders.parts import LIKELIHOODS
from vae_jax.likelihoods import column_masks
from vae_jax.nets.units import Units


def build_units(config: Config, dataset: Dataset) -> Units | None:
    """The units of counts, real tables, and images that leave [0, 1]; None for all other data."""
    kind = kind_of(dataset.shape, dataset.preparation)
    if kind == "tokens":
        return None
    name = config.model.likelihood
    likelihood = pick(LIKELIHOODS, "model.likelihood", name)(config.model, dataset.shape)
    masks = column_masks(likelihood)
    has_own_units = np.any(masks["categories"]) or np.any(masks["positive"])
    if is_plain(dataset) and not has_own_units:
        return None
    moments = dataset.moments
    return Units.from_statistics(
        (moments.mean, moments.stddev),
        (moments.log_mean, moments.log_stddev),
        (moments.positive_log_mean, moments.positive_log_stddev),
        **(masks | {"counts": True} if kind == "counts" else masks),
    )


def is_plain(dataset: Dataset) -> bool:
    """True if networks can see x as it is: tokens, zeros and ones, levels, images in [0, 1]."""
    kind = kind_of(dataset.shape, dataset.preparation)
    low, high = dataset.train.value_range
    is_unit = len(dataset.shape) == 3 and low >= 0 and high <= 1
    return kind in ("tokens", "binary", "levels") or (kind == "real" and is_unit)


def describe_units(units: Units | None, shape: tuple[int, ...]) -> str:
    """A description of the units of a model of events of a shape, '' without any."""
    if units is None:
        return ""
    entry = "channel" if len(shape) == 3 else "column"
    masks = {"log(1 + x)": (units.counts, "counts"), "log x": (units.positive, "positive numbers")}
    whole = [text for text, (mask, _) in masks.items() if mask and all(mask)]
    parts = [f"{text} of {noun}" for text, (mask, noun) in masks.items() if any(mask)]
    values = (
        whole[0] if whole else " and ".join([", ".join(parts), "values"] if parts else ["values"])
    )
    codes = ", categories one-hot" if units.categories else ""
    return (
        f"networks see {values} standardized by mean and standard deviation of each {entry} of "
        f"train{codes}; densities are in the units of the data"
    )
