"""Lossless compression: the code length that the model promises, and bits-back coding reaches."""

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from vae_jax.data import ArraySource
from vae_jax.distributions import Distribution
from vae_jax.evaluation.coding import bits_back_decode, bits_back_encode
from vae_jax.evaluation.scan import full_float32, mean_over_draws, over_batches
from vae_jax.experiment.metrics.context import (
    Context,
    Numbers,
    as_batch,
    subset,
    with_stderr,
)
from vae_jax.models.base import Model
from vae_jax.nets.attributes import read_attribute
from vae_jax.objectives.terms import log_weights
from vae_jax.types import Array, Batch, Params

MAX_TABLE_ENTRIES = 2**24  # frequencies in memory at once
DRAWS = 100  # draws of z for each example, for the bound
MAX_BATCH = 100  # examples coded side by side


def compression(context: Context, key: Array) -> Numbers:
    """Encode some test examples, decode them again and compare."""
    c, dataset = context.config.evaluation, context.dataset
    batch = as_batch(subset(dataset.test, c.compression_examples), key)
    levels = read_attribute(context.model.likelihood, "levels") or 2
    x = np.asarray(jnp.round(batch["x"] * (levels - 1)).astype(jnp.int32))
    batch_size = min(MAX_BATCH, len(x), MAX_TABLE_ENTRIES // (dataset.num_dims * levels))
    batch_size = max(1, batch_size)
    posterior = functools.partial(_posterior, context, levels)
    decode = functools.partial(_masses, context, levels)
    coded = bits_back_encode(x, posterior, decode, batch_size=batch_size, seed=c.seed)
    lossless = bool(np.array_equal(bits_back_decode(coded, posterior, decode), x))
    bits = 1 / (dataset.num_dims * math.log(2))
    run = _bounds(context.model, min(c.batch_size, len(x)), context.mesh)
    bounds = context.run(run, ArraySource(batch["x"]), jax.random.fold_in(key, 1))
    promised = -bounds["elbo"].astype(np.float64) * bits
    variance = bounds["variance"].astype(np.float64).sum() / len(x) ** 2
    return {
        "estimator": f"bits per dimension of {len(x)} test examples: promised is the mean of "
        f"-ELBO, by {DRAWS} draws of z each, with its standard error over examples; reached is the "
        f"length of one bits-back message that codes {batch_size} examples side by side, without "
        f"its initial {coded.num_clean_bits} random bits: it has one draw of z for each example, "
        "whose noise its standard error is; total is all that has to be stored; lossless is true "
        "if decoding returned every value",
        "num_examples": len(x),
        "num_draws": DRAWS,
        "levels": levels,
        **with_stderr("promised", promised),
        "reached": coded.bits_per_dim,
        "reached_stderr": math.sqrt(variance) * bits,
        "total": coded.total_bits_per_dim,
        "lossless": lossless,
    }


@functools.lru_cache(maxsize=8)  # shared by the trials of a sweep
def _bounds(model: Model, batch_size: int, mesh: Mesh | None) -> Any:
    """(params, source, key) -> "elbo" [N] in nats, and "variance" [N] of one draw's bound."""

    def one_batch(params: Params, batch: Batch, key: Array) -> dict[str, Array]:
        key_first, key_draws = jax.random.split(key)

        def log_weight(key: Array, num: int) -> Array:
            outputs = model.apply(params, batch["x"], key, num_samples=num)
            return log_weights(outputs)

        center = log_weight(key_first, 1)[0]  # so that the squares are small

        def moments(key: Array, num: int) -> tuple[Array, Array]:
            difference = log_weight(key, num) - center
            return difference.mean(0), jnp.square(difference).mean(0)

        mean, square = mean_over_draws(
            moments, key_draws, num_samples=DRAWS, num_rows=len(batch["x"])
        )
        variance = (square - jnp.square(mean)) * DRAWS / (DRAWS - 1)
        return {"elbo": center + mean, "variance": variance}

    return over_batches(one_batch, batch_size=batch_size, mesh=mesh, description="compression")


def _posterior(context: Context, levels: int, x: np.ndarray) -> tuple[Array, Array]:
    images = jnp.asarray(x, jnp.float32) / (levels - 1)
    q = _apply(context.model, context.params, images, method="encode")
    return q.mean, jnp.exp(q.logvar / 2)


def _masses(context: Context, levels: int, z: np.ndarray) -> Array:
    """P(x = k / (levels - 1) | z) for each dimension, [B, *E, levels]."""
    p = _apply(context.model, context.params, jnp.asarray(z), method="decode")
    return _all_masses(p, levels)


@functools.partial(jax.jit, static_argnums=0, static_argnames="method")
@full_float32
def _apply(model: Model, params: Params, x: Array, *, method: str) -> Distribution:
    return model.apply(params, x, method=method)


@functools.partial(jax.jit, static_argnums=1)
def _all_masses(p: Distribution, levels: int) -> Array:
    def mass(k: Array) -> Array:
        x = jnp.broadcast_to(k / (levels - 1), (*p.batch_shape, *p.event_shape))
        return jnp.exp(p.log_prob_terms(x))

    return jnp.moveaxis(jax.lax.map(mass, jnp.arange(levels)), 0, -1)
