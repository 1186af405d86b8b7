"""The table of metrics by their names in the config, and their measurement."""

import logging
import time
import zlib
from collections.abc import Callable, Collection, Iterator

import jax
import numpy as np

from vae_jax.errors import InputError
from vae_jax.experiment.metrics.anomaly import anomaly
from vae_jax.experiment.metrics.compression import compression
from vae_jax.experiment.metrics.context import Context, Numbers
from vae_jax.experiment.metrics.headlines import headline_entries
from vae_jax.experiment.metrics.imputation import imputation
from vae_jax.experiment.metrics.labels import accuracy, disentanglement, representation
from vae_jax.experiment.metrics.latents import codes, collapse, decomposition
from vae_jax.experiment.metrics.likelihood import annealing, gap, likelihood
from vae_jax.experiment.metrics.linear import ppca
from vae_jax.experiment.metrics.molecules import molecules
from vae_jax.experiment.metrics.samples import augmentation, quality, reconstruction
from vae_jax.experiment.metrics.search import search
from vae_jax.experiment.metrics.sequences import sequences
from vae_jax.types import Array

logger = logging.getLogger(__name__)

METRICS: dict[str, Callable[[Context, Array], Numbers]] = {
    "collapse": collapse,
    "codes": codes,
    "likelihood": likelihood,
    "annealed": annealing,
    "gap": gap,
    "decomposition": decomposition,
    "ppca": ppca,
    "disentanglement": disentanglement,
    "quality": quality,
    "molecules": molecules,
    "search": search,
    "reconstruction": reconstruction,
    "representation": representation,
    "anomaly": anomaly,
    "augmentation": augmentation,
    "compression": compression,
    "imputation": imputation,
    "sequences": sequences,
    "accuracy": accuracy,
}


def _requested(context: Context) -> list[str]:
    """The verdict, which every run has, and the metrics of the config, in order of the table."""
    always = "codes" if context.config.model.kind == "vq" else "collapse"
    return [
        name for name in METRICS if name == always or name in context.config.evaluation.metric_names
    ]


def measure(
    context: Context, names: Collection[str] | None = None
) -> Iterator[tuple[str, Numbers, float]]:
    """Yield (name, numbers, seconds) of each metric.

    The key of a metric depends on its name and the evaluation seed only. A metric that raises a
    ValueError yields {"failed": reason} as its numbers, and the remaining metrics continue.

    Args:
      context: the model, its data and terms.
      names: metrics to compute; by default the requested metrics of the config.
    """
    for name in _requested(context) if names is None else names:
        start = time.perf_counter()
        key = jax.random.fold_in(
            jax.random.key(context.config.evaluation.seed), zlib.crc32(name.encode()) >> 1
        )
        try:
            numbers = METRICS[name](context, key)
        except ValueError as error:  # an InputError, or the error of a library
            logger.warning("%s failed: %s", name, error, exc_info=not isinstance(error, InputError))
            yield name, {"failed": str(error)}, time.perf_counter() - start
        else:
            header = {"estimator": numbers["estimator"], "data": _describe_data(context)}
            yield name, header | numbers, time.perf_counter() - start


def _describe_data(context: Context) -> str:
    name, preparation = context.dataset.name, context.dataset.preparation
    left_out = f", without class {preparation['left_out']}" if "left_out" in preparation else ""
    return f"{name}, binarization {preparation['binarization']}{left_out}"


def describe(name: str, numbers: Numbers) -> str:
    """Describe a metric in one line: its verdict, or its main numbers with standard errors."""
    if "failed" in numbers:
        return f"{name}: failed: {numbers['failed']}"
    if "verdict" in numbers:
        return f"{name}: {numbers['verdict']}: {numbers['evidence']} {numbers['remedy']}".rstrip()
    entries = [
        f"{'/'.join(path)} "
        + ("not finite" if value is None else f"{value:.4g}")
        + ("" if stderr is None or not np.isfinite(stderr) else f" +- {stderr:.2g}")
        for path, value, stderr in headline_entries(name, numbers)
    ]
    entries += [f"{key} {value}" for key, value in numbers.items() if key.endswith("_not_finite")]
    return f"{name}: " + ", ".join(entries)
