"""Build the data of a config."""

import logging
import pathlib
from typing import Any

from vae_jax import data as data_lib
from vae_jax.config import Config
from vae_jax.config.fields import TABLE_SETS, TEXT_SETS
from vae_jax.data import Dataset, Source
from vae_jax.data.examples import Examples
from vae_jax.data.hidden import hide_entries
from vae_jax.data.load import load_examples
from vae_jax.data.tables.dataset import load_rows
from vae_jax.data.tables.reading import is_table
from vae_jax.data.text.dataset import load_lines
from vae_jax.data.text.lines import is_text
from vae_jax.errors import prefix_arguments
from vae_jax.experiment.builders.auto import resolve, resolve_binarization
from vae_jax.experiment.builders.label_subsets import (
    allow_unlabeled,
    class_examples,
    keep_labels,
    label_columns,
    remove_class,
)
from vae_jax.experiment.builders.lookup import pick
from vae_jax.experiment.builders.parts import LIKELIHOODS
from vae_jax.experiment.builders.property_labels import add_property, standardize_labels

logger = logging.getLogger(__name__)

FIELDS = "config.data"  # arguments of `data.load`
ARRAY_FILES = (".npz", ".npy", ".h5", ".hdf5")


def build_data(config: Config) -> Dataset:
    """Return the data set, without the class, the labels and the values that the config removes."""
    config = resolve_binarization(config)
    c = config.data
    with prefix_arguments(FIELDS):
        dataset = data_lib.load(
            c.name, dir=c.dir, path=c.path, streaming=c.streaming, **_options(config)
        )
    return _prepare(config, dataset)


def build_examples(config: Config, examples: Examples) -> Dataset:
    """Return the data set of examples in memory, prepared as `build_data` prepares that of a name.

    Without examples for testing, none are cut, and test is a copy of validation.
    """
    config = resolve_binarization(config)
    options = _options(config)
    for name in ("image_size", "split_path"):  # of files
        del options[name]
    with prefix_arguments(FIELDS):
        dataset = examples.dataset(**options)
    return _prepare(config, dataset)


def _prepare(config: Config, dataset: Dataset) -> Dataset:
    """The data set without the class, the labels and the values that the config removes."""
    c = config.data
    if c.leave_out >= 0:
        dataset = remove_class(dataset, c.leave_out)
    if config.objective.name == "m2":
        dataset = allow_unlabeled(dataset)
    if c.num_labels:
        dataset = keep_labels(dataset, c.num_labels)
    if config.model.conditioning == "vector" and config.model.num_classes == 1:
        dataset = label_columns(dataset)
    if config.objective.name == "property":
        dataset = standardize_labels(add_property(dataset, c.property))
    if c.hide:
        with prefix_arguments(FIELDS):
            dataset = hide_entries(dataset, c.hide, c.hide_seed)
    _warn_if_not_binary(resolve(config, dataset.shape, dataset.preparation), dataset)
    return dataset


def build_anomalies(config: Config) -> tuple[str, Source]:
    """Return the name and the test examples of the removed class, or of other data.

    Other data are prepared as the config's own. Of a file without a test split, all are anomalies.
    Raises InputError if they are unavailable.
    """
    config = resolve_binarization(config)
    c = config.data
    other = config.evaluation.anomaly
    if not other:
        with prefix_arguments(FIELDS):
            dataset = data_lib.load(c.name, dir=c.dir, path=c.path, **_options(config))
        return f"class {c.leave_out} of {c.name}", class_examples(dataset, c.leave_out)
    if c.name in TABLE_SETS and is_table(other):
        with prefix_arguments(FIELDS):
            schema = data_lib.load(c.name, path=c.path, **_options(config)).table
        with prefix_arguments(FIELDS, path="config.evaluation.anomaly"):
            return pathlib.Path(other).stem, load_rows(other, schema, missing=c.missing)
    if c.name in TEXT_SETS and is_text(other):
        with prefix_arguments(FIELDS):
            own = data_lib.load(c.name, path=c.path, **_options(config))
        with prefix_arguments(FIELDS, path="config.evaluation.anomaly"):
            return pathlib.Path(other).stem, load_lines(other, own.text, own.shape[0])
    options = _options(config)
    if other.lower().endswith(ARRAY_FILES) or "/" in other:
        named = {name: options[name] for name in ("values", "binarization", "missing")}
        with prefix_arguments(FIELDS, path="config.evaluation.anomaly"):
            source = load_examples(other, image_size=c.image_size, **named)
        return pathlib.Path(other).stem, source
    with prefix_arguments(FIELDS, name="config.evaluation.anomaly"):
        return other, data_lib.load(other, path=c.path, dir=c.dir, **options).test


def _options(config: Config) -> dict[str, Any]:
    c = config.data
    return {
        "binarization": c.binarization,
        "valid_fraction": c.valid_fraction,
        "values": c.values,
        "image_size": c.image_size,
        "schema": c.schema,
        "missing": c.missing,
        "alphabet": c.alphabet,
        "max_length": c.max_length,
        "split_path": c.split_path,
    }


def _warn_if_not_binary(config: Config, dataset: Dataset) -> None:
    name = config.model.likelihood
    likelihood = pick(LIKELIHOODS, "model.likelihood", name)(config.model, dataset.shape)
    if likelihood.binary and not dataset.preparation["binary"]:
        logger.warning(
            "config.data.binarization = 'none': a %s likelihood of values between 0 and 1 is not a "
            "normalized density; its ELBO is not comparable (binarize, or use "
            "'gaussian')",
            name,
        )
