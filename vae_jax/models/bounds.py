"""Bounds of all examples given to a trained model, a few at a time."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from vae_jax.data import ArraySource
from vae_jax.errors import UnsupportedError
from vae_jax.evaluation.likelihood import ROWS, log_likelihood
from vae_jax.evaluation.scan import over_batches
from vae_jax.models.base import LatentModel, Model
from vae_jax.objectives.loss import given
from vae_jax.objectives.terms import per_example_terms
from vae_jax.types import Array, Batch, Params

BATCH = 100  # examples at a time


def terms(
    model: Model, params: Params, batch: Batch, key: Array, *, num_samples: int
) -> tuple[Array, Array]:
    """Distortion and rate, each [B] nats: means over K draws of z for each example."""
    return _over_examples(_terms, model, params, batch, key, num_samples)


def log_prob(model: Model, params: Params, batch: Batch, key: Array, *, num_samples: int) -> Array:
    """Log p(x) [B] by K importance samples.

    Raises:
      UnsupportedError: the posterior has no density.
    """
    if not model.supports("latent_density"):
        raise UnsupportedError(
            "log_prob: codes have no density, so there are no importance samples; use elbo"
        )
    log_px = _over_examples(_log_px, model, params, batch, key, num_samples)
    if not isinstance(log_px, jax.core.Tracer) and not jnp.isfinite(log_px).any():
        raise UnsupportedError(
            "log_prob: no weight is finite; a deterministic posterior has no marginal likelihood"
        )
    return log_px


def _terms(
    model: Model, num_samples: int, params: Params, batch: Batch, key: Array
) -> tuple[Array, Array]:
    options = {"num_samples": num_samples, **given(model, batch)}
    return per_example_terms(model.apply(params, batch["x"], key, **options))


def _log_px(
    model: LatentModel, num_samples: int, params: Params, batch: Batch, key: Array
) -> Array:
    size = min(BATCH, len(batch["x"]))
    chunk = max(1, min(num_samples, ROWS // size))
    return log_likelihood(model, params, batch, key, num_samples=num_samples, chunk=chunk)[0]


def _over_examples(
    function: Callable[..., Any],
    model: Model,
    params: Params,
    batch: Batch,
    key: Array,
    num_samples: int,
) -> Any:
    """The function of all examples: as it is inside `jax.jit`, else compiled for each batch."""
    if any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves((params, batch, key))):
        return function(model, num_samples, params, batch, key)
    size = min(BATCH, len(batch["x"]))
    try:
        run = _compiled(function, model, num_samples, size)
    except TypeError:  # not hashable: a field of the model holds a list
        run = _compiled.__wrapped__(function, model, num_samples, size)
    source = ArraySource(jnp.asarray(batch["x"]), batch.get("y"))
    return jax.tree.map(jnp.asarray, run(params, source, key))


@functools.lru_cache(maxsize=16)
def _compiled(function: Callable[..., Any], model: Model, num_samples: int, size: int) -> Any:
    one_batch = functools.partial(function, model, num_samples)
    return over_batches(one_batch, batch_size=size)
