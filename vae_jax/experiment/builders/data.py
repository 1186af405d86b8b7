"""From a config to its data, checked against the model that is to read them."""

import logging
import pathlib

import jax
import jax.numpy as jnp
import numpy as np

from vae_jax import data as data_lib
from vae_jax.config import Config
from vae_jax.data import ArraySource, Dataset, HostSource, Source
from vae_jax.errors import InputError
from vae_jax.experiment.builders.label_subsets import of_class, with_few_labels, without_class
from vae_jax.experiment.builders.lookup import pick
from vae_jax.experiment.builders.parts import LIKELIHOODS
from vae_jax.likelihoods.mixed import check_table

logger = logging.getLogger(__name__)


def build_data(config: Config) -> Dataset:
    """The data set, checked against batch size, likelihood and conditioning."""
    c = config.data
    options = {
        "binarization": c.binarization,
        "valid_fraction": c.valid_fraction,
        "streaming": c.streaming,
        "values": c.values,
    }
    dataset = data_lib.load(c.name, dir=c.dir, path=c.path, **options)
    dataset = dataset if c.leave_out < 0 else without_class(dataset, c.leave_out)
    batch_size = config.train.batch_size
    if batch_size > dataset.train.num_examples:
        raise InputError(
            f"config.train.batch_size = {batch_size}: larger than the data, {dataset.train.num_examples} training examples"
        )
    _check_values(config, dataset)
    _check_labels(config, dataset)
    return with_few_labels(dataset, c.num_labels) if c.num_labels else dataset


def build_anomalies(config: Config) -> tuple[str, Source]:
    """What a model of the config's data should find strange, and its name: the class left out, or the test set of other data.

    The other data are prepared as the config's own. InputError where they can't be had, or can't be compared.
    """
    c, other = config.data, config.evaluation.anomaly
    options = {
        "binarization": c.binarization,
        "valid_fraction": c.valid_fraction,
        "values": c.values,
    }
    if not other:
        if c.leave_out < 0:
            raise InputError(
                "config.evaluation.anomaly = '': name other data, or leave a class out with config.data.leave_out"
            )
        everything = data_lib.load(c.name, dir=c.dir, path=c.path, **options)
        return f"class {c.leave_out} of {c.name}", of_class(everything, c.leave_out)
    is_file = other.endswith(".npz") or "/" in other
    given = {"name": "npz", "path": other} if is_file else {"name": other, "path": c.path}
    try:
        return (pathlib.Path(other).stem if is_file else other), data_lib.load(
            dir=c.dir, **given, **options
        ).test
    except InputError as error:
        raise InputError(f"config.evaluation.anomaly = {other!r}: {error}") from error


def _check_values(config: Config, dataset: Dataset) -> None:
    """InputError where the likelihood has no mass, or no density, at the values of the data."""
    name, preparation = config.model.likelihood, dataset.preparation
    likelihood = pick(LIKELIHOODS, "model.likelihood", name)(config.model, dataset.shape)
    (low, high), value_range = likelihood.support, dataset.train.value_range
    if value_range[0] < low or value_range[1] > high:
        raise InputError(
            f"config.model.likelihood = {name!r}: needs values from {low:g} to {high:g}, but {dataset.name} "
            f"has {value_range[0]:g} to {value_range[1]:g}; scale the data, store them as integers 0 to 255, or take 'gaussian'"
        )
    if likelihood.integers and preparation["values"] != "counts":
        raise InputError(
            f"config.model.likelihood = {name!r}: needs counts; take --config.data.values=counts"
        )
    levels = preparation["levels"]
    if likelihood.levels and (not levels or (likelihood.levels - 1) % (levels - 1)):
        steps = f"{levels} equally spaced values" if levels else "values that lie on no grid"
        fitting = (
            f"config.model.levels = {levels}" if levels else "a likelihood of continuous values"
        )
        raise InputError(
            f"config.model.levels = {likelihood.levels}: {dataset.name} has {steps}, of which likelihood {name!r} would have "
            f"none or not all; take {fitting}"
        )
    if name == "mixed":
        _check_table(config, dataset)
    if likelihood.binary and not preparation["binary"]:
        logger.warning(
            "config.data.binarization = 'none': a %s likelihood of values between 0 and 1 is not a normalized density; its "
            "ELBO compares with no other (binarize, or take 'gaussian')",
            name,
        )


def _check_table(config: Config, dataset: Dataset) -> None:
    """InputError where a column holds what its kind has no mass on."""
    for source in (dataset.train, dataset.valid, dataset.test):
        if isinstance(source, ArraySource):
            try:
                check_table(config.model.columns, np.asarray(source.images) * source.scale)
            except InputError as error:
                raise InputError(
                    f"config.model.{error}; tables are read as floats, or with data.values = 'counts'"
                ) from error


def _check_labels(config: Config, dataset: Dataset) -> None:
    """InputError where a conditional model can't take the labels that there are."""
    conditioning, size = config.model.conditioning, config.model.num_classes
    if conditioning == "none":
        return
    splits = [_labels(source) for source in (dataset.train, dataset.valid, dataset.test)]
    if any(y is None for y in splits):
        raise InputError(
            f"config.model.conditioning = {conditioning!r}: {dataset.name} has no labels, or not in every split"
        )
    y = np.concatenate(splits)
    if conditioning == "vector" and y.shape[1:] != (size,):
        shape = f"{y.shape[1]} entries" if y.ndim == 2 else "one number"
        raise InputError(
            f"config.model.num_classes = {size}: the labels of {dataset.name} have {shape} an example"
        )
    if conditioning == "label":
        if y.ndim != 1 or y.dtype.kind not in "iu":
            raise InputError(
                f"config.model.conditioning = 'label': the labels of {dataset.name} are not one whole number an example; "
                "take 'vector'"
            )
        if y.min() < 0 or y.max() >= size:
            raise InputError(
                f"config.model.num_classes = {size}: {dataset.name} has labels from {y.min()} to {y.max()}"
            )


def _labels(source: Source | HostSource) -> np.ndarray | None:
    """The labels of a split; of one that is rendered or streamed, of its first examples."""
    if isinstance(source, ArraySource):
        return None if source.labels is None else np.asarray(source.labels)
    few = np.arange(min(source.num_examples, 1_000))
    if isinstance(source, HostSource):
        source, few = source.at(few), np.arange(len(few))
    batch = source.take(jnp.asarray(few), jax.random.key(0))
    return np.asarray(batch["y"]) if "y" in batch else None
