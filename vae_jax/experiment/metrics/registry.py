"""Every metric by its name in the config, and how a run is measured by those that it asks for."""

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
from vae_jax.experiment.metrics.labels import accuracy, disentanglement, representation
from vae_jax.experiment.metrics.latents import codes, collapse, decomposition
from vae_jax.experiment.metrics.likelihood import annealing, gap, likelihood
from vae_jax.experiment.metrics.samples import augmentation, quality, reconstruction
from vae_jax.types import Array

logger = logging.getLogger(__name__)

METRICS: dict[str, Callable[[Context, Array], Numbers]] = {
    "collapse": collapse,
    "codes": codes,
    "likelihood": likelihood,
    "annealed": annealing,
    "gap": gap,
    "decomposition": decomposition,
    "disentanglement": disentanglement,
    "quality": quality,
    "reconstruction": reconstruction,
    "representation": representation,
    "anomaly": anomaly,
    "augmentation": augmentation,
    "compression": compression,
    "accuracy": accuracy,
}


def asked_for(context: Context) -> list[str]:
    """The metrics of a run: the verdict, which all have, and those of the config, in the order of the table."""
    always = "codes" if context.config.model.kind == "vq" else "collapse"
    return [
        name for name in METRICS if name == always or name in context.config.evaluation.metric_names
    ]


def measure(
    context: Context, names: Collection[str] | None = None
) -> Iterator[tuple[str, Numbers, float]]:
    """(name, numbers, seconds) of one metric after the other; each has a key of its own, whatever the others are.

    One that cannot be made of this model and these data has {"failed": why} for its numbers, and the others go on.

    Args:
      context: what is measured.
      names: of the metrics; by default those that the config asks for.
    """
    for name in asked_for(context) if names is None else names:
        start = time.perf_counter()
        key = jax.random.fold_in(
            jax.random.key(context.config.evaluation.seed), zlib.crc32(name.encode()) >> 1
        )
        try:
            numbers = METRICS[name](context, key)
        except ValueError as error:  # an InputError, or one of a library
            logger.warning("%s failed: %s", name, error, exc_info=not isinstance(error, InputError))
            yield name, {"failed": str(error)}, time.perf_counter() - start
        else:
            about = {"estimator": numbers["estimator"], "data": _data(context)}
            yield name, about | numbers, time.perf_counter() - start


def _data(context: Context) -> str:
    name, preparation = context.dataset.name, context.dataset.preparation
    left_out = f", without class {preparation['left_out']}" if "left_out" in preparation else ""
    return f"{name}, binarization {preparation['binarization']}{left_out}"


def describe(name: str, numbers: Numbers) -> str:
    """A metric in one line: its verdict, or its chief numbers, with their standard errors where they have one."""
    if "failed" in numbers:
        return f"{name}: failed: {numbers['failed']}"
    if "verdict" in numbers:
        return f"{name}: {numbers['verdict']}: {numbers['evidence']} {numbers['remedy']}".rstrip()
    entries = [
        f"{'/'.join(path)} {value:.4g}"
        + ("" if stderr is None or not np.isfinite(stderr) else f" +- {stderr:.2g}")
        for path, value, stderr in headline_entries(name, numbers)
        if value is not None
    ]
    return f"{name}: " + ", ".join(entries)
