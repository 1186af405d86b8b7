"""The marginal likelihood, by importance sampling and by annealing, and the inference gap."""

import functools
import math
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from vae_jax.data import ArraySource, Source
from vae_jax.evaluation.ais import Annealed, run_ais, simulate
from vae_jax.evaluation.gap import EXAMPLES, inference_gap
from vae_jax.evaluation.likelihood import Likelihoods, make_likelihoods
from vae_jax.experiment.metrics.context import (
    Context,
    Numbers,
    as_batch,
    condition,
    subset,
    with_stderr,
)
from vae_jax.models.base import LatentModel
from vae_jax.types import Array, Batch


def importance(context: Context, source: Source, key: Array) -> Likelihoods:
    """Log p(x) of all examples of the source, by `evaluation.likelihood_samples` samples."""
    c = context.config.evaluation
    run = _likelihoods(context.model, c.likelihood_samples, c.batch_size, context.mesh)
    return context.run(run, source, key)


@functools.lru_cache(maxsize=8)  # shared by the trials of a sweep
def _likelihoods(model: LatentModel, num_samples: int, batch_size: int, mesh: Mesh | None) -> Any:
    return make_likelihoods(model, num_samples=num_samples, batch_size=batch_size, mesh=mesh)


def likelihood(context: Context, key: Array) -> Numbers:
    """Log p(x) of the test set, in nats and in bits per dimension."""
    likelihoods = importance(context, context.dataset.test, key)
    numbers = likelihoods.summary()
    bits = 1 / (context.dataset.num_dims * math.log(2))
    numbers["bits_per_dim"] = numbers["log_likelihood"] * -bits
    numbers["bits_per_dim_stderr"] = numbers["log_likelihood_stderr"] * bits
    return {
        "estimator": f"{context.log_px} of each test example by log 1/K sum_k p(x, z_k) / "
        f"q(z_k | x) with K = {likelihoods.num_samples} draws of the posterior, in nats: a lower "
        "bound in expectation; mean and standard error over examples; ess is the effective "
        "sample size of the K draws",
        **numbers,
    }


def annealing(context: Context, key: Array) -> Numbers:
    """Log p(x) of some test examples by annealing; of simulated examples, from both sides."""
    c = context.config.evaluation
    keys = jax.random.split(key, 6)
    batch = as_batch(subset(context.dataset.test, c.annealed_examples), keys[0])
    x, y = batch["x"], condition(context.model, batch)
    simulated, z = simulate(context.model, context.params, keys[1], len(x), y=y)
    below = _anneal(context, simulated, y, keys[2])
    above = _anneal(context, simulated, y, keys[3], posterior_z=z)
    return {
        "estimator": f"{context.log_px} in nats by annealed importance sampling from the prior, "
        f"{c.annealed_chains} chains of {c.annealed_temperatures} temperatures for each example: "
        "a lower bound in expectation; examples simulated by the model are also bounded from "
        "above, by chains that start at their z; importance is the importance-weighted bound of "
        f"the same examples with {c.likelihood_samples} draws; standard errors over examples",
        "test": _compare(
            _anneal(context, x, y, keys[4]), _importance_bound(context, batch, keys[5])
        ),
        "simulated": _compare(
            below, _importance_bound(context, batch | {"x": simulated}, keys[5]), above
        ),
    }


def _anneal(
    context: Context, x: Array, y: Array | None, key: Array, posterior_z: Array | None = None
) -> Annealed:
    """Annealed estimates of all examples, `EXAMPLES` at a time."""
    c, results = context.config.evaluation, []
    for number, start in enumerate(range(0, len(x), EXAMPLES)):
        # The last examples are repeated, so that one program serves all.
        index = np.minimum(start + np.arange(min(EXAMPLES, len(x))), len(x) - 1)
        part = run_ais(
            context.model,
            context.params,
            x[index],
            jax.random.fold_in(key, number),
            num_chains=c.annealed_chains,
            num_temperatures=c.annealed_temperatures,
            posterior_z=None if posterior_z is None else posterior_z[index],
            y=None if y is None else y[index],
        )
        results.append(part)
    return Annealed(
        np.concatenate([part.log_px for part in results])[: len(x)],
        float(np.mean([part.acceptance for part in results])),
        c.annealed_chains,
        c.annealed_temperatures,
    )


def _compare(below: Annealed, bound: np.ndarray, above: Annealed | None = None) -> Numbers:
    """Annealed estimate and importance-weighted bound of the same examples, and the difference."""
    numbers: Numbers = below.summary() | with_stderr("importance", bound)
    numbers |= with_stderr("annealed_less_importance", below.log_px - bound)
    if above is not None:
        numbers |= with_stderr("upper", above.log_px)
        numbers |= with_stderr("bidirectional_gap", above.log_px - below.log_px)
    return numbers


def _importance_bound(context: Context, batch: Batch, key: Array) -> np.ndarray:
    """The importance-weighted bound [B] of a batch, `EXAMPLES` at a time."""
    source = ArraySource(batch["x"], condition(context.model, batch))
    num_samples = context.config.evaluation.likelihood_samples
    run = _likelihoods(context.model, num_samples, min(EXAMPLES, len(batch["x"])), context.mesh)
    return context.run(run, source, key).log_px


def gap(context: Context, key: Array) -> Numbers:
    """The inference gap of some test examples, split into approximation and amortization gap."""
    c = context.config.evaluation
    key_batch, key_weights, key_gap = jax.random.split(key, 3)
    batch = as_batch(subset(context.dataset.test, c.gap_examples), key_batch)
    log_px = _importance_bound(context, batch, key_weights)
    numbers = inference_gap(
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
        f"{context.log_px} by {c.likelihood_samples} importance samples, each ELBO by "
        f"{numbers['num_samples']} draws, the best diagonal Gaussian of each example by "
        f"{c.gap_steps} steps of Adam from the encoder's; {context.log_px} is itself a "
        "lower bound in expectation, so the inference and approximation gaps are too small",
        **numbers,
    }
