"""Compatibility of a config with its data: batch size, likelihood and labels."""

import jax
import jax.numpy as jnp
import numpy as np

from vae_jax.config import Config
from vae_jax.config.rules import Rule
from vae_jax.data import ArraySource, Dataset, HostSource, Source
from vae_jax.data.labels import UNKNOWN
from vae_jax.errors import InputError
from vae_jax.experiment.builders.lookup import pick
from vae_jax.experiment.builders.parts import LIKELIHOODS
from vae_jax.likelihoods import check_table, parse_columns

WRAPPED = 255  # -1 in unsigned integers of 8 bits


def _explain_batch_size(config: Config, dataset: Dataset) -> str | None:
    batch_size, num_examples = config.train.batch_size, dataset.train.num_examples
    if batch_size <= num_examples:
        return None
    return (
        f"config.train.batch_size = {batch_size}: larger than the data, {num_examples} training "
        f"examples; choose at most {num_examples}"
    )


def _explain_shape(config: Config, dataset: Dataset) -> str | None:
    """Tables for a likelihood of images."""
    if config.model.likelihood != "autoregressive" or len(dataset.shape) == 3:
        return None
    return (
        "config.model.likelihood = 'autoregressive': needs images [H, W, C], but the data are "
        f"{dataset.shape}"
    )


def _explain_text(config: Config, dataset: Dataset) -> str | None:
    """Text for a likelihood of numbers, or numbers for one of tokens."""
    name, is_text = config.model.likelihood, dataset.text is not None
    if is_text != (name == "tokens"):
        kind = "text, whose likelihood is 'tokens'" if is_text else "no text, which 'tokens' needs"
        return f"config.model.likelihood = {name!r}: {dataset.name} is {kind}"
    size = config.model.num_tokens
    if dataset.text is not None and dataset.text.size != size:
        return f"config.model.num_tokens = {size}: {dataset.name} has {dataset.text.size}; omit it"
    return None


def _explain_values(config: Config, dataset: Dataset) -> str | None:
    """Values on which the likelihood has no mass, or no density."""
    name = config.model.likelihood
    if name == "autoregressive" and len(dataset.shape) != 3:
        return (
            f"config.model.likelihood = {name!r}: needs images [H, W, C], but the data are "
            f"{dataset.shape}"
        )
    likelihood = pick(LIKELIHOODS, "model.likelihood", name)(config.model, dataset.shape)
    low, high = likelihood.support
    smallest, largest = dataset.train.value_range
    if smallest < low or largest > high:
        return (
            f"config.model.likelihood = {name!r}: needs values from {low:g} to {high:g}, but "
            f"{dataset.name} has {smallest:g} to {largest:g}; scale the data, store them as "
            "integers 0 to 255, or use 'gaussian'"
        )
    if likelihood.positive and smallest <= low:
        return (
            f"config.model.likelihood = {name!r}: needs values above 0, but {dataset.name} has "
            f"{smallest:g}; use 'gaussian', or 'mixed' with a kind for each column"
        )
    if likelihood.integers and dataset.preparation["values"] != "counts":
        return f"config.model.likelihood = {name!r}: needs counts; use --config.data.values=counts"
    levels = dataset.preparation["levels"]
    if likelihood.levels and not levels:
        return (
            f"config.model.levels = {likelihood.levels}: {dataset.name} has values that lie on no "
            f"grid, on which likelihood {name!r} has no mass; use a likelihood of continuous values"
        )
    if likelihood.levels and (likelihood.levels - 1) % (levels - 1):
        return (
            f"config.model.levels = {likelihood.levels}: {dataset.name} has {levels} equally "
            f"spaced values, and likelihood {name!r} has no mass on some of them; use "
            f"config.model.levels = {levels}"
        )
    return None


def _explain_table(config: Config, dataset: Dataset) -> str | None:
    """A column with values on which its type has no mass."""
    if config.model.likelihood != "mixed":
        return None
    for source in (dataset.train, dataset.valid, dataset.test):
        if isinstance(source, ArraySource):
            try:
                observed = None if source.observed is None else np.asarray(source.observed)
                x = np.asarray(source.images) * source.scale
                check_table(config.model.columns, x, observed)
            except InputError as error:
                return (
                    f"{error.under('config.model')}; tables are read as floats, or with "
                    "config.data.values = 'counts'"
                )
    return None


def _explain_schema(config: Config, dataset: Dataset) -> str | None:
    """Columns of the config that differ from those of the table."""
    if dataset.table is None or config.model.likelihood != "mixed":
        return None
    columns, kinds = map(parse_columns, (config.model.columns, dataset.table.kinds))
    for column, kind, own in zip(columns, kinds, dataset.table.columns, strict=False):
        if column != kind:
            return (
                f"config.model.columns: column {own.name!r} is {own.spec} in {dataset.name}; leave "
                "the columns empty, and override kinds by config.data.schema"
            )
    if len(columns) != len(kinds):
        return (
            f"config.model.columns: there are {len(columns)}, and {dataset.name} has {len(kinds)}; "
            "leave them empty"
        )
    return None


def _explain_missing(config: Config, dataset: Dataset) -> str | None:
    """Missing values for a likelihood that couples the channels of a pixel."""
    name = config.model.likelihood
    if not has_missing(dataset) or name != "logistic_mixture" or dataset.shape[-1] != 3:
        return None
    return (
        f"config.model.likelihood = {name!r}: the three channels of a pixel depend on each other "
        "given z, so that missing ones can't be left out; use 'discretized_logistic'"
    )


def has_missing(dataset: Dataset) -> bool:
    """True if a value of any split is missing."""
    return any(dataset.preparation.get("missing", {}).values())


def _explain_labels(config: Config, dataset: Dataset) -> str | None:
    """Labels that a conditional model can't use."""
    conditioning = config.model.conditioning
    if conditioning == "none":
        return None
    size = config.model.num_classes
    splits = [_labels(source) for source in (dataset.train, dataset.valid, dataset.test)]
    if any(y is None for y in splits):
        return (
            f"config.model.conditioning = {conditioning!r}: {dataset.name} has no labels, or not "
            "in every split"
        )
    y = np.concatenate(splits)
    if conditioning == "vector":
        if y.shape[1:] == (size,):
            return None
        shape = f"{y.shape[1]} entries" if y.ndim == 2 else "one number"
        return (
            f"config.model.num_classes = {size}: the labels of {dataset.name} have {shape} per "
            "example"
        )
    if conditioning == "size":
        return _explain_sizes(y, size, dataset.name)
    if y.ndim == 2 and ((y == 0) | (y == 1)).all() and (y.sum(1) == 1).all():
        return (
            f"config.model.conditioning = 'label': the labels of {dataset.name} are one-hot; save "
            "y.argmax(1), or use 'vector'"
        )
    if y.ndim != 1 or y.dtype.kind not in "iu":
        return (
            f"config.model.conditioning = 'label': the labels of {dataset.name} are not one whole "
            "number per example; use 'vector'"
        )
    if config.objective.name == "m2":
        y = y[y != UNKNOWN]  # examples without a label
    if y.min() < 0 or y.max() >= size:
        return (
            f"config.model.num_classes = {size}: {dataset.name} has labels from {y.min()} to "
            f"{y.max()}{_label_remedy(y, size)}"
        )
    return None


def _explain_sizes(y: np.ndarray, num_groups: int, name: str) -> str | None:
    """Labels that are not a size factor and a group for each example."""
    field = "config.model.conditioning = 'size'"
    if y.ndim != 2 or y.shape[1] != 2:
        return f"{field}: the labels of {name} have shape {y.shape}, must be [N, 2]: size, group"
    sizes, groups = y.T
    if not ((sizes > 0) & (sizes < np.inf)).all():
        return f"{field}: {name} has sizes from {sizes.min():g}, must be above 0"
    if not ((groups >= 0) & (groups < num_groups) & (groups == np.round(groups))).all():
        return (
            f"config.model.num_classes = {num_groups}: {name} has groups from {groups.min():g} to "
            f"{groups.max():g}, must be integers from 0 to {num_groups - 1}"
        )
    return None


def _label_remedy(y: np.ndarray, size: int) -> str:
    """The remedy for labels [N] that are not 0 to size - 1."""
    classes = np.unique(y)
    if classes[0] >= 0 and classes[-1] == WRAPPED and np.all(classes[:-1] < size):
        return "; if 255 marks examples without a label, save -1 in signed integers"
    if classes[0] == 1 and classes[-1] == size:
        return "; classes count from 0: save y - 1"
    if classes[0] >= 0 and len(classes) <= size:
        return "; number them from 0, as numpy.unique(y, return_inverse=True)[1] does"
    if classes[0] >= 0:
        return f"; it must be at least {classes[-1] + 1}"
    if classes.tolist() == [-1, 1]:
        return "; classes count from 0: save (y + 1) // 2"
    if classes[0] == UNKNOWN:
        return (
            "; only objective 'm2' takes -1 as 'no label': leave these examples out, or give them "
            "a class"
        )
    return "; classes count from 0"


def _labels(source: Source | HostSource) -> np.ndarray | None:
    """The labels of a split in memory, or of the first examples of any other split."""
    if isinstance(source, ArraySource):
        return None if source.labels is None else np.asarray(source.labels)
    indices = np.arange(min(source.num_examples, 1_000))
    if isinstance(source, HostSource):
        source = source.select(indices)
        indices = np.arange(len(indices))
    batch = source.take(jnp.asarray(indices), jax.random.key(0))
    return np.asarray(batch["y"]) if "y" in batch else None


RULES: tuple[Rule, ...] = (
    _explain_batch_size,
    _explain_shape,
    _explain_text,
    _explain_values,
    _explain_schema,
    _explain_table,
    _explain_missing,
    _explain_labels,
)
