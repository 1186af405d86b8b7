"""The inference gap, split into the cost of the posterior family and the cost of the encoder.

    log p(x) - ELBO(q) = [log p(x) - ELBO(q*)] + [ELBO(q*) - ELBO(q)]
                       = approximation gap + amortization gap,

with q* the best diagonal Gaussian, optimized separately for each example (Cremer, Li and Duvenaud,
2018, arXiv:1801.03558). A richer posterior closes the first, a larger encoder the second.

Examples are taken `EXAMPLES` at a time and their draws a few at a time, so memory depends on the
number of neither.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from vae_jax.distributions import DiagGaussian
from vae_jax.evaluation.common import mean_estimate
from vae_jax.evaluation.progress import Progress
from vae_jax.evaluation.scan import full_float32, mean_over_draws
from vae_jax.models.base import LatentModel
from vae_jax.types import Array, Params

EXAMPLES = 10  # examples at a time


def optimize_posterior(
    model: LatentModel,
    params: Params,
    x: Array,
    start: DiagGaussian,
    key: Array,
    *,
    num_steps: int = 500,
    num_samples: int = 8,
    learning_rate: float = 0.02,
    y: Array | None = None,
    observed: Array | None = None,
) -> DiagGaussian:
    """q* [B, D] for x [B, *E], from `start` by Adam on an ELBO of `num_samples` draws.

    `observed` [B, *E] is False at missing values of x; the ELBO is of the observed ones.
    """
    options = {"num_steps": num_steps, "num_samples": num_samples, "learning_rate": learning_rate}
    start = DiagGaussian(start.mean, jnp.broadcast_to(start.logvar, start.mean.shape))
    return _optimize(model, params, _inputs(x, y, observed), start, key, **options)


def _inputs(x: Array, y: Array | None, observed: Array | None) -> dict[str, Array]:
    """The entries that there are, by the names of a model's arguments."""
    inputs = {"x": x, "y": y, "observed": observed}
    return {name: array for name, array in inputs.items() if array is not None}


@functools.partial(
    jax.jit, static_argnums=0, static_argnames=("num_steps", "num_samples", "learning_rate")
)
@full_float32
def _optimize(
    model: LatentModel,
    params: Params,
    inputs: dict[str, Array],
    start: DiagGaussian,
    key: Array,
    *,
    num_steps: int,
    num_samples: int,
    learning_rate: float,
) -> DiagGaussian:
    tx = optax.adam(optax.cosine_decay_schedule(learning_rate, num_steps))

    def loss(q: DiagGaussian, key: Array) -> Array:
        z, log_q = q.sample_and_log_prob(key, (num_samples,))
        log_pz, log_px_z = model.apply(params, z=z, **inputs, method="log_joint")
        # Each example has its own posterior: a sum, not a mean.
        return (log_q - log_pz - log_px_z).mean(0).sum()

    def step(
        carry: tuple[DiagGaussian, optax.OptState], number: Array
    ) -> tuple[tuple[DiagGaussian, optax.OptState], None]:
        q, state = carry
        gradient = jax.grad(loss)(q, jax.random.fold_in(key, number))
        updates, state = tx.update(gradient, state)
        return (optax.apply_updates(q, updates), state), None

    return jax.lax.scan(step, (start, tx.init(start)), jnp.arange(num_steps))[0][0]


@functools.partial(jax.jit, static_argnums=0, static_argnames="num_samples")
@full_float32
def _bound(
    model: LatentModel,
    params: Params,
    inputs: dict[str, Array],
    q: DiagGaussian,
    key: Array,
    *,
    num_samples: int,
) -> Array:
    """The ELBO [B] of q [B, D] for x [B, *E], by `num_samples` draws."""

    def some_draws(key: Array, num: int) -> Array:
        z, log_q = q.sample_and_log_prob(key, (num,))
        log_pz, log_px_z = model.apply(params, z=z, **inputs, method="log_joint")
        return (log_px_z + log_pz - log_q).mean(0)

    return mean_over_draws(some_draws, key, num_samples=num_samples, num_rows=len(inputs["x"]))


@functools.partial(jax.jit, static_argnums=0)
@full_float32
def _encode(model: LatentModel, params: Params, inputs: dict[str, Array]) -> DiagGaussian:
    return model.apply(params, **inputs, method="encode")


def inference_gap(
    model: LatentModel,
    params: Params,
    x: Array,
    log_px: np.ndarray,
    key: Array,
    *,
    num_samples: int = 256,
    num_steps: int = 500,
    y: Array | None = None,
    observed: Array | None = None,
) -> dict[str, float]:
    """The two gaps over x [B, *E], in nats, with standard errors over the examples.

    Args:
      model: has a diagonal Gaussian posterior.
      params: its parameters.
      x: examples; a hundred are enough for a first look.
      log_px: log p(x) [B], as from `vae_jax.evaluation.likelihood`; an estimate that is too low
        makes the first gap too small.
      key: PRNG key of the draws.
      num_samples: draws of each ELBO.
      num_steps: optimization steps of q*.
      y: condition of the model, if any.
      observed: False at missing values of x; log_px and bounds are of the observed ones.

    Raises:
      ValueError: the posterior is not a diagonal Gaussian over [B, D].
    """
    log_px = np.asarray(log_px, np.float64)
    amortized, optimized = np.empty(len(x)), np.empty(len(x))
    starts = range(0, len(x), EXAMPLES)
    with Progress(len(x), "gap", "examples") as progress:
        for number, start in enumerate(starts):
            # The last examples are repeated, so that one program serves all.
            index = np.minimum(start + np.arange(min(EXAMPLES, len(x))), len(x) - 1)
            used = slice(start, start + len(index))
            count = len(x[used])
            part: dict[str, Any] = {
                name: array[index] for name, array in _inputs(x, y, observed).items()
            }
            q = _encode(model, params, part)
            if not isinstance(q, DiagGaussian) or q.mean.ndim != 2:
                raise ValueError(
                    f"the inference gaps need a diagonal Gaussian posterior, not {type(q).__name__}"
                )
            key_fit, key_bound = jax.random.split(jax.random.fold_in(key, number))
            best = optimize_posterior(
                model, params, start=q, key=key_fit, num_steps=num_steps, **part
            )
            for values, posterior in ((amortized, q), (optimized, best)):
                bound = _bound(model, params, part, posterior, key_bound, num_samples=num_samples)
                values[used] = np.asarray(bound)[:count]
            progress.update(count)
    numbers: dict[str, float] = {
        "num_examples": len(log_px),
        "num_samples": num_samples,
        "num_steps": num_steps,
    }
    for name, values in (
        ("inference_gap", log_px - amortized),
        ("approximation_gap", log_px - optimized),
        ("amortization_gap", optimized - amortized),
    ):
        estimate = mean_estimate(values)
        numbers |= {name: estimate.value, f"{name}_stderr": estimate.stderr}
    return numbers
