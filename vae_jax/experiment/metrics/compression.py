"""Lossless compression: the code length that the model promises, and that of bits-back coding."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np

from vae_jax.distributions import Distribution
from vae_jax.evaluation.coding import bits_back_decode, bits_back_encode
from vae_jax.experiment.metrics.context import (
    Context,
    Numbers,
    as_batch,
    choose_examples,
    subset,
    with_stderr,
)
from vae_jax.types import Array

MAX_TABLE_ENTRIES = 2**24  # frequencies in memory at once
MAX_BATCH = 100  # examples coded side by side


def compression(context: Context, key: Array) -> Numbers:
    """Encode some test examples, decode them again and compare."""
    c, dataset = context.config.evaluation, context.dataset
    batch = as_batch(subset(dataset.test, c.compression_examples), key)
    levels = getattr(context.model.likelihood, "levels", 0) or 2
    x = np.asarray(jnp.round(batch["x"] * (levels - 1)).astype(jnp.int32))
    batch_size = min(MAX_BATCH, len(x), MAX_TABLE_ENTRIES // (dataset.num_dims * levels))
    batch_size = max(1, batch_size)
    posterior = functools.partial(_posterior, context, levels)
    decode = functools.partial(_masses, context, levels)
    coded = bits_back_encode(x, posterior, decode, batch_size=batch_size, seed=c.seed)
    lossless = bool(np.array_equal(bits_back_decode(coded, posterior, decode), x))
    elbo = context.terms.elbo[choose_examples(dataset.test, c.compression_examples)]
    promised = -elbo.astype(np.float64) / (dataset.num_dims * math.log(2))
    draws = "1 draw" if c.num_samples == 1 else f"{c.num_samples} draws"
    return {
        "estimator": f"bits per dimension of {len(x)} test examples: promised is the mean of "
        f"-ELBO, by {draws} of z each, with its standard error over examples; reached is the "
        f"length of one bits-back message that codes {batch_size} examples side by side, without "
        f"its initial {coded.num_clean_bits} random bits, and has no standard error; total is all "
        "that has to be stored; lossless is true if decoding returned every value",
        "num_examples": len(x),
        "num_draws": c.num_samples,
        "levels": levels,
        **with_stderr("promised", promised),
        "reached": coded.bits_per_dim,
        "total": coded.total_bits_per_dim,
        "lossless": lossless,
    }


def _posterior(context: Context, levels: int, x: np.ndarray) -> tuple[Array, Array]:
    q = context.trained_model.encode(jnp.asarray(x, jnp.float32) / (levels - 1))
    return q.mean, jnp.exp(q.logvar / 2)


def _masses(context: Context, levels: int, z: np.ndarray) -> Array:
    """P(x = k / (levels - 1) | z) for each dimension, [B, *E, levels]."""
    return _all_masses(context.trained_model.decode(jnp.asarray(z)), levels)


@functools.partial(jax.jit, static_argnums=1)
def _all_masses(p: Distribution, levels: int) -> Array:
    def mass(k: Array) -> Array:
        x = jnp.broadcast_to(k / (levels - 1), (*p.batch_shape, *p.event_shape))
        return jnp.exp(p.log_prob_terms(x))

    return jnp.moveaxis(jax.lax.map(mass, jnp.arange(levels)), 0, -1)
