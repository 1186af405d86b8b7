"""The code length that the model promises, and the one that bits-back coding reaches without a loss."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np

from vae_jax.evaluation.coding import bits_back_decode, bits_back_encode
from vae_jax.experiment.metrics.context import Context, Numbers, choose_examples, part_of, whole
from vae_jax.types import Array

TABLE_ENTRIES = 2**24  # frequencies in memory at once
MOST_LANES = 100


def compression(context: Context, key: Array) -> Numbers:
    """Codes some test examples, decodes them again and compares."""
    c, dataset = context.config.evaluation, context.dataset
    batch = whole(part_of(dataset.test, c.compression_examples), key)
    levels = getattr(context.model.likelihood, "levels", 0) or 2
    x = np.asarray(jnp.round(batch["x"] * (levels - 1)).astype(jnp.int32))
    trials = max(1, min(MOST_LANES, len(x), TABLE_ENTRIES // (dataset.num_dims * levels)))
    posterior, decode = (
        functools.partial(_posterior, context, levels),
        functools.partial(_masses, context, levels),
    )
    coded = bits_back_encode(x, posterior, decode, batch_size=trials, seed=c.seed)
    lossless = bool(np.array_equal(bits_back_decode(coded, posterior, decode), x))
    elbo = context.terms.elbo[choose_examples(dataset.test, c.compression_examples)]
    promised = -elbo.astype(np.float64) / (dataset.num_dims * math.log(2))
    draws = "1 draw" if c.num_samples == 1 else f"{c.num_samples} draws"
    return {
        "estimator": f"bits per dimension of {len(x)} test examples: promised is the mean of -ELBO, by {draws} "
        f"of z each, with its standard error over them; reached that of one bits-back message of {trials} trials, without the "
        f"{coded.num_clean_bits} random bits it began with, and without a standard error; total all that has to be stored; "
        "lossless: whether decoding gave every value back",
        "num_examples": len(x),
        "num_draws": c.num_samples,
        "levels": levels,
        "promised": float(promised.mean()),
        "promised_stderr": float(promised.std(ddof=1) / math.sqrt(len(x)))
        if len(x) > 1
        else math.nan,
        "reached": coded.bits_per_dim,
        "total": coded.total_bits_per_dim,
        "lossless": lossless,
    }


def _posterior(context: Context, levels: int, x: np.ndarray) -> tuple[Array, Array]:
    q = context.trained_model.encode(jnp.asarray(x, jnp.float32) / (levels - 1))
    return q.mean, jnp.exp(q.logvar / 2)


def _masses(context: Context, levels: int, z: np.ndarray) -> Array:
    """P(x = k / (levels - 1) | z) of each dimension, [B, *E, levels]."""
    return _all_masses(context.trained_model.decode(jnp.asarray(z)), levels)


@functools.partial(jax.jit, static_argnums=1)
def _all_masses(p: object, levels: int) -> Array:
    def mass(k: Array) -> Array:
        return jnp.exp(
            p.log_prob_terms(jnp.broadcast_to(k / (levels - 1), (*p.batch_shape, *p.event_shape)))
        )

    return jnp.moveaxis(jax.lax.map(mass, jnp.arange(levels)), 0, -1)
