"""The marginal likelihood: by importance sampling, by annealing, and how far the bound is below it."""

import functools
import math
from typing import Any

import jax
import numpy as np
from flax import linen as nn
from jax.sharding import Mesh

from vae_jax.data import Source
from vae_jax.evaluation.ais import Annealed, annealed, simulate
from vae_jax.evaluation.gap import inference_gap
from vae_jax.evaluation.likelihood import Likelihoods, log_likelihood, make_likelihoods
from vae_jax.experiment.metrics.context import Numbers, Subject, condition, part_of, whole, with_stderr
from vae_jax.types import Array


def importance(subject: Subject, source: Source, key: Array) -> Likelihoods:
    """Log p(x) of all examples of the source, by the importance samples that the config asks for."""
    c = subject.config.evaluation
    return subject.run(_likelihoods(subject.model, c.likelihood_samples, c.batch_size, subject.mesh), source, key)


@functools.lru_cache(maxsize=8)  # the lanes of a sweep share it
def _likelihoods(model: nn.Module, num_samples: int, batch_size: int, mesh: Mesh | None) -> Any:
    return make_likelihoods(model, num_samples=num_samples, batch_size=batch_size, mesh=mesh)


def likelihood(subject: Subject, key: Array) -> Numbers:
    """Log p(x) of the test set, in nats and in bits per dimension."""
    found = importance(subject, subject.dataset.test, key)
    numbers = found.summary()
    bits = -1 / (subject.dataset.num_dims * math.log(2))
    for name in ("", "_stderr"):
        numbers[f"bits_per_dim{name}"] = numbers[f"log_likelihood{name}"] * (abs(bits) if name else bits)
    return {
        "estimator": f"{subject.log_px} of each test example by log 1/K sum_k p(x, z_k) / q(z_k | x) with K = "
        f"{found.num_samples} draws of the posterior, in nats: a lower bound in expectation; mean and standard error over "
        "examples; ess is the effective number of the K draws",
        **numbers,
    }


def annealing(subject: Subject, key: Array) -> Numbers:
    """Log p(x) of some test examples by annealing; and of simulated ones, where it is enclosed from both sides."""
    c = subject.config.evaluation
    keys = jax.random.split(key, 6)
    batch = whole(part_of(subject.dataset.test, c.annealed_examples), keys[0])
    x, y = batch["x"], condition(subject.model, batch)
    options = {"num_chains": c.annealed_chains, "num_temperatures": c.annealed_temperatures}
    run = functools.partial(annealed, subject.model, subject.params, y=y, **options)
    simulated, z = simulate(subject.model, subject.params, keys[1], len(x), y=y)
    below, above = run(simulated, keys[2]), run(simulated, keys[3], posterior_z=z)
    return {
        "estimator": f"{subject.log_px} in nats by annealed importance sampling from the prior, {c.annealed_chains} chains of "
        f"{c.annealed_temperatures} temperatures for each example: a lower bound in expectation; examples simulated by the "
        "model are bounded from above too, by chains that start at their z; importance is the importance-weighted bound "
        f"of the same examples with {c.likelihood_samples} draws; standard errors over examples",
        "test": _beside(run(x, keys[4]), _weighted(subject, batch, keys[5])),
        "simulated": _beside(below, _weighted(subject, batch | {"x": simulated}, keys[5]), above),
    }


def _beside(below: Annealed, weighted: np.ndarray, above: Annealed | None = None) -> Numbers:
    """The annealed estimate and the importance-weighted one of the same examples, and their difference."""
    numbers: Numbers = below.summary() | with_stderr("importance", weighted)
    numbers |= with_stderr("annealed_less_importance", below.log_px - weighted)
    if above is not None:
        numbers |= with_stderr("upper", above.log_px) | with_stderr("bidirectional_gap", above.log_px - below.log_px)
    return numbers


def _weighted(subject: Subject, batch: Any, key: Array) -> np.ndarray:
    num_samples = subject.config.evaluation.likelihood_samples
    run = jax.jit(log_likelihood, static_argnums=0, static_argnames=("num_samples", "chunk"))
    return np.asarray(run(subject.model, subject.params, batch, key, num_samples=num_samples, chunk=min(16, num_samples))[0])


def gap(subject: Subject, key: Array) -> Numbers:
    """The inference gap of some test examples, as approximation and amortisation gap."""
    c = subject.config.evaluation
    key_batch, key_weights, key_gap = jax.random.split(key, 3)
    batch = whole(part_of(subject.dataset.test, c.gap_examples), key_batch)
    log_px = _weighted(subject, batch, key_weights)
    found = inference_gap(
        subject.model, subject.params, batch["x"], log_px, key_gap, num_steps=c.gap_steps, y=condition(subject.model, batch)
    )
    return {
        "estimator": "nats, means and standard errors over examples; "
        f"{subject.log_px} by {c.likelihood_samples} importance samples, each ELBO by {found['num_samples']} draws, the best "
        f"diagonal Gaussian of each example by {c.gap_steps} steps of Adam from that of the encoder; "
        f"{subject.log_px} is itself a lower bound in expectation, so the inference and approximation gaps are too small",
        **found,
    }
