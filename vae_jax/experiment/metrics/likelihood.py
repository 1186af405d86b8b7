"""The marginal likelihood, by importance sampling and by annealing, and the inference gap."""

import functools
import math
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from vae_jax.data import ArraySource, Source
from vae_jax.evaluation.ais import Annealed, run_ais, simulate
from vae_jax.evaluation.common import bits_per_token, mean_estimate
from vae_jax.evaluation.gap import EXAMPLES, inference_gap
from vae_jax.evaluation.likelihood import Likelihoods, make_likelihoods
from vae_jax.experiment.metrics.context import (
    Context,
    Numbers,
    as_batch,
    condition,
    name_estimate,
    subset,
    with_stderr,
)
from vae_jax.models.base import LatentModel
from vae_jax.objectives.loss import given
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
    """Log p(x) of the test set, in nats and in bits per dimension, or per token of text."""
    likelihoods = importance(context, context.dataset.test, key)
    numbers = likelihoods.summary()
    numbers |= _bits_per_dim(context, likelihoods.log_px, numbers)
    return {
        "estimator": f"{context.log_px} of each test example by log 1/K sum_k p(x, z_k) / "
        f"q(z_k | x) with K = {likelihoods.num_samples} draws of the posterior, in nats: a lower "
        "bound in expectation; mean and standard error over examples; ess is the effective "
        f"sample size of the K draws{context.of_observed}",
        **numbers,
    }


def _bits_per_dim(context: Context, log_px: np.ndarray, numbers: Numbers) -> Numbers:
    """Bits for each dimension, or for each observed value, with the standard error of a ratio."""
    observed = context.terms.num_observed
    if observed is None:
        bits = 1 / (context.dataset.num_dims * math.log(2))
        value, stderr = numbers["log_likelihood"] * -bits, numbers["log_likelihood_stderr"] * bits
        return {"bits_per_dim": value, "bits_per_dim_stderr": stderr}
    finite = np.isfinite(log_px)
    log_px, observed = log_px[finite].astype(np.float64), observed[finite].astype(np.float64)
    if context.dataset.text is not None:
        estimate = bits_per_token(log_px, observed)
        return name_estimate("bits_per_token", estimate) | {"tokens": float(observed.mean())}
    size = observed.mean() * math.log(2)
    value = -log_px.mean() / size
    residual = mean_estimate(log_px / size + value * observed / observed.mean())
    return {
        "bits_per_dim": value,
        "bits_per_dim_stderr": residual.stderr,
        "observed_values": float(observed.mean()),
    }


def annealing(context: Context, key: Array) -> Numbers:
    """Log p(x) of some test examples by annealing; of simulated examples, from both sides."""
    c = context.config.evaluation
    keys = jax.random.split(key, 6)
    batch = as_batch(subset(context.dataset.test, c.annealed_examples), keys[0])
    y = condition(context.model, batch)
    x, z = simulate(context.model, context.params, keys[1], len(batch["x"]), y=y)
    simulated = batch | {"x": x}  # with the same missing values
    if context.dataset.text is not None:
        simulated |= {"observed": x > 0}  # each sequence with its length
    below = _anneal(context, simulated, keys[2])
    above = _anneal(context, simulated, keys[3], posterior_z=z)
    return {
        "estimator": f"{context.log_px} in nats by annealed importance sampling from the prior, "
        f"{c.annealed_chains} chains of {c.annealed_temperatures} temperatures for each example: "
        "a lower bound in expectation; examples simulated by the model are also bounded from "
        "above, by chains that start at their z; importance is the importance-weighted bound of "
        f"the same examples with {c.likelihood_samples} draws; standard errors over examples"
        f"{context.of_observed}",
        "test": _compare(
            _anneal(context, batch, keys[4]), _importance_bound(context, batch, keys[5])
        ),
        "simulated": _compare(below, _importance_bound(context, simulated, keys[5]), above),
    }


def _anneal(
    context: Context, batch: Batch, key: Array, posterior_z: Array | None = None
) -> Annealed:
    """Annealed estimates of all examples, `EXAMPLES` at a time."""
    c, results, size = context.config.evaluation, [], len(batch["x"])
    inputs = {"x": batch["x"], **given(context.model, batch)}
    if posterior_z is not None:
        inputs["posterior_z"] = posterior_z
    for number, start in enumerate(range(0, size, EXAMPLES)):
        # The last examples are repeated, so that one program serves all.
        index = np.minimum(start + np.arange(min(EXAMPLES, size)), size - 1)
        part = run_ais(
            context.model,
            context.params,
            key=jax.random.fold_in(key, number),
            num_chains=c.annealed_chains,
            num_temperatures=c.annealed_temperatures,
            **{name: rows[index] for name, rows in inputs.items()},
        )
        results.append(part)
    return Annealed(
        np.concatenate([part.log_px for part in results])[:size],
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
    y = condition(context.model, batch)
    source = ArraySource(batch["x"], y, observed=batch.get("observed"))
    num_samples = context.config.evaluation.likelihood_samples
    run = _likelihoods(context.model, num_samples, min(EXAMPLES, len(batch["x"])), context.mesh)
    likelihoods = context.run(run, source, key)
    likelihoods.check_finite()
    return likelihoods.log_px


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
        **given(context.model, batch),
    )
    return {
        "estimator": "nats, means and standard errors over examples; "
        f"{context.log_px} by {c.likelihood_samples} importance samples, each ELBO by "
        f"{numbers['num_samples']} draws, the best diagonal Gaussian of each example by "
        f"{c.gap_steps} steps of Adam from the encoder's; {context.log_px} is itself a "
        "lower bound in expectation, so the inference and approximation gaps are too small"
        f"{context.of_observed}",
        **numbers,
    }
