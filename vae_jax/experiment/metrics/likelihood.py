"""The marginal likelihood: by importance sampling, by annealing, and how far the bound is below it."""

import functools
import math
from typing import Any

import jax
import numpy as np
from flax import linen as nn
from jax.sharding import Mesh

from vae_jax.data import Source
from vae_jax.evaluation.ais import Annealed, run_ais, simulate
from vae_jax.evaluation.gap import inference_gap
from vae_jax.evaluation.likelihood import Likelihoods, log_likelihood, make_likelihoods
from vae_jax.experiment.metrics.context import (
    Context,
    Numbers,
    condition,
    part_of,
    whole,
    with_stderr,
)
from vae_jax.types import Array


def importance(context: Context, source: Source, key: Array) -> Likelihoods:
    """Log p(x) of all examples of the source, by the importance samples that the config asks for."""
    c = context.config.evaluation
    return context.run(
        _likelihoods(context.model, c.likelihood_samples, c.batch_size, context.mesh), source, key
    )


@functools.lru_cache(maxsize=8)  # the trials of a sweep share it
def _likelihoods(model: nn.Module, num_samples: int, batch_size: int, mesh: Mesh | None) -> Any:
    return make_likelihoods(model, num_samples=num_samples, batch_size=batch_size, mesh=mesh)


def likelihood(context: Context, key: Array) -> Numbers:
    """Log p(x) of the test set, in nats and in bits per dimension."""
    found = importance(context, context.dataset.test, key)
    numbers = found.summary()
    bits = -1 / (context.dataset.num_dims * math.log(2))
    for name in ("", "_stderr"):
        numbers[f"bits_per_dim{name}"] = numbers[f"log_likelihood{name}"] * (
            abs(bits) if name else bits
        )
    return {
        "estimator": f"{context.log_px} of each test example by log 1/K sum_k p(x, z_k) / q(z_k | x) with K = "
        f"{found.num_samples} draws of the posterior, in nats: a lower bound in expectation; mean and standard error over "
        "examples; ess is the effective number of the K draws",
        **numbers,
    }


def annealing(context: Context, key: Array) -> Numbers:
    """Log p(x) of some test examples by annealing; and of simulated ones, where it is enclosed from both sides."""
    c = context.config.evaluation
    keys = jax.random.split(key, 6)
    batch = whole(part_of(context.dataset.test, c.annealed_examples), keys[0])
    x, y = batch["x"], condition(context.model, batch)
    options = {"num_chains": c.annealed_chains, "num_temperatures": c.annealed_temperatures}
    run = functools.partial(run_ais, context.model, context.params, y=y, **options)
    simulated, z = simulate(context.model, context.params, keys[1], len(x), y=y)
    below, above = run(simulated, keys[2]), run(simulated, keys[3], posterior_z=z)
    return {
        "estimator": f"{context.log_px} in nats by annealed importance sampling from the prior, {c.annealed_chains} chains of "
        f"{c.annealed_temperatures} temperatures for each example: a lower bound in expectation; examples simulated by the "
        "model are bounded from above too, by chains that start at their z; importance is the importance-weighted bound "
        f"of the same examples with {c.likelihood_samples} draws; standard errors over examples",
        "test": _beside(run(x, keys[4]), _weighted(context, batch, keys[5])),
        "simulated": _beside(below, _weighted(context, batch | {"x": simulated}, keys[5]), above),
    }


def _beside(below: Annealed, weighted: np.ndarray, above: Annealed | None = None) -> Numbers:
    """The annealed estimate and the importance-weighted one of the same examples, and their difference."""
    numbers: Numbers = below.summary() | with_stderr("importance", weighted)
    numbers |= with_stderr("annealed_less_importance", below.log_px - weighted)
    if above is not None:
        numbers |= with_stderr("upper", above.log_px) | with_stderr(
            "bidirectional_gap", above.log_px - below.log_px
        )
    return numbers


def _weighted(context: Context, batch: Any, key: Array) -> np.ndarray:
    num_samples = context.config.evaluation.likelihood_samples
    run = jax.jit(log_likelihood, static_argnums=0, static_argnames=("num_samples", "chunk"))
    return np.asarray(
        run(
            context.model,
            context.params,
            batch,
            key,
            num_samples=num_samples,
            chunk=min(16, num_samples),
        )[0]
    )


def gap(context: Context, key: Array) -> Numbers:
    """The inference gap of some test examples, as approximation and amortization gap."""
    c = context.config.evaluation
    key_batch, key_weights, key_gap = jax.random.split(key, 3)
    batch = whole(part_of(context.dataset.test, c.gap_examples), key_batch)
    log_px = _weighted(context, batch, key_weights)
    found = inference_gap(
        context.model,
        context.params,
        batch["x"],
        log_px,
        key_gap,
        num_steps=c.gap_steps,
        y=condition(context.model, batch),
    )
    return {
        "estimator": "nats, means and standard errors over examples; "
        f"{context.log_px} by {c.likelihood_samples} importance samples, each ELBO by {found['num_samples']} draws, the best "
        f"diagonal Gaussian of each example by {c.gap_steps} steps of Adam from that of the encoder; "
        f"{context.log_px} is itself a lower bound in expectation, so the inference and approximation gaps are too small",
        **found,
    }
