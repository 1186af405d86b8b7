"""The marginal likelihood of each example by importance sampling, in constant memory.

    log p(x) >= E[log 1/K sum_k w_k],   w_k = p(x | z_k) p(z_k) / q(z_k | x),   z_k ~ q(z | x)

Burda, Grosse and Salakhutdinov, 2016, arXiv:1509.00519. The estimate is below log p(x) in
expectation, for any K.
"""

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from vae_jax.data import Source
from vae_jax.distributions import Deterministic
from vae_jax.evaluation.common import finite_estimate
from vae_jax.evaluation.scan import over_batches
from vae_jax.models.base import LatentModel
from vae_jax.objectives.loss import given
from vae_jax.objectives.terms import log_weights
from vae_jax.types import Array, Batch, Params

Tree = TypeVar("Tree")

ROWS = 1024  # approximate number of z decoded at a time; their activations fit the cache of a core


@dataclasses.dataclass(frozen=True)
class Likelihoods:
    """Importance-weighted estimates for each example of a split."""

    log_px: np.ndarray  # [N] nats, below log p(x) in expectation
    ess: np.ndarray  # [N] effective sample size (sum w)^2 / sum w^2, from 1 to K
    elbo: np.ndarray  # [N] mean of log w over the same draws
    num_samples: int  # K

    def summary(self) -> dict[str, float]:
        """Means, the standard error, and quantiles of the effective sample size.

        Examples without a finite estimate are excluded and counted.

        Raises:
          ValueError: no estimate is finite.
        """
        self.check_finite()
        log_px, num_left_out = finite_estimate(self.log_px)
        finite = np.isfinite(self.log_px) if num_left_out else slice(None)
        left_out = {"log_likelihood_not_finite": num_left_out} if num_left_out else {}
        return {
            "log_likelihood": log_px.value,
            "log_likelihood_stderr": log_px.stderr,
            "num_samples": self.num_samples,
            "num_examples": len(self.log_px),
            "elbo": float(self.elbo[finite].mean(dtype=np.float64)),
            "ess_mean": float(self.ess[finite].mean(dtype=np.float64)),
            "ess_median": float(np.median(self.ess[finite])),
            "ess_5_percent": float(np.quantile(self.ess[finite], 0.05)),
            **left_out,
        }

    def check_finite(self) -> None:
        """Raises ValueError unless an estimate is finite."""
        if not np.isfinite(self.log_px).any():
            raise ValueError(f"none of {len(self.log_px)} examples has a finite log p(x)")


def running_log_mean(
    log_weights: Callable[[Array, Array], Array],
    key: Array,
    *,
    num_samples: int,
    chunk: int,
    num_examples: int,
) -> tuple[Array, Array, Array]:
    """Log mean of w, effective sample size and mean of log w over `num_samples` draws, each [B].

    Args:
      log_weights: (key, number of the chunk []) -> log w [chunk, B].
      key: PRNG key; each chunk gets its own.
      num_samples: K.
      chunk: draws at a time; draws beyond K in the last chunk are ignored.
      num_examples: B.
    """
    return running_means(
        lambda key, number: (log_weights(key, number), ()),
        key,
        num_samples=num_samples,
        chunk=chunk,
        num_examples=num_examples,
    )[0]


def running_means(
    draws: Callable[[Array, Array], tuple[Array, Tree]],
    key: Array,
    *,
    num_samples: int,
    chunk: int,
    num_examples: int,
) -> tuple[tuple[Array, Array, Array], Tree]:
    """The triple of `running_log_mean`, and unweighted means [B, ...] of other terms of each draw.

    Args:
      draws: (key, number of the chunk []) -> log w [chunk, B], and a tree of terms [chunk, B, ...].
      key, num_samples, chunk, num_examples: as for `running_log_mean`.
    """

    def mask(used: Array, terms: Array) -> Array:
        return jnp.where(used.reshape(-1, *(1,) * (terms.ndim - 1)), terms, 0.0)

    def body(carry: tuple[Any, ...], number: Array) -> tuple[tuple[Any, ...], None]:
        top, total, squares, logs, sums = carry
        log_w, terms = draws(jax.random.fold_in(key, number), number)
        used = (number * chunk + jnp.arange(chunk) < num_samples)[:, None]
        new_top, shrink, w = rescale(top, jnp.where(used, log_w, -jnp.inf))
        logs = logs + jnp.where(used, log_w, 0.0).sum(0)
        sums = jax.tree.map(lambda total, new: total + mask(used, new).sum(0), sums, terms)
        return (
            new_top,
            total * shrink + w.sum(0),
            squares * shrink**2 + jnp.square(w).sum(0),
            logs,
            sums,
        ), None

    zeros = jnp.zeros(num_examples, jnp.float32)
    shapes = jax.eval_shape(draws, key, jnp.int32(0))[1]
    sums = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape[1:], leaf.dtype), shapes)
    top = jnp.full(num_examples, -jnp.inf, jnp.float32)
    numbers = jnp.arange(-(-num_samples // chunk))
    (top, total, squares, logs, sums), _ = jax.lax.scan(
        body, (top, zeros, zeros, zeros, sums), numbers
    )
    log_mean = top + jnp.log(total) - math.log(num_samples)
    means = jax.tree.map(lambda total: total / num_samples, sums)
    return (log_mean, jnp.square(total) / squares, logs / num_samples), means


def rescale(top: Array, log_w: Array) -> tuple[Array, Array, Array]:
    """The largest log weight so far, and weights relative to it.

    Args:
      top: the largest of earlier log weights [B]; -inf before the first.
      log_w: further log weights [K, B].

    Returns:
      The new top [B], the factor [B] of sums of earlier weights, and w / exp(top), [K, B].
    """
    new_top = jnp.maximum(top, log_w.max(0))
    base = jnp.where(jnp.isfinite(new_top), new_top, 0.0)  # all weights may be zero so far
    return new_top, jnp.exp(top - base), jnp.exp(log_w - base)


def log_likelihood(
    model: LatentModel,
    params: Params,
    batch: Batch,
    key: Array,
    *,
    num_samples: int,
    chunk: int = 64,
) -> tuple[Array, Array, Array]:
    """Log p(x), effective sample size and ELBO, each [B], for x [B, *E].

    A pure function of K = `num_samples` draws. The encoder runs once; memory grows with `chunk`,
    draws for each example.

    Raises:
      ValueError: the posterior is deterministic, without a density for the weights.
    """
    x = batch["x"]
    inferred = model.apply(params, x, **given(model, batch), method="infer")

    def log_w(key: Array, _: Array) -> Array:
        outputs = model.apply(params, inferred, x, key, num_samples=chunk, method="outputs")
        if isinstance(outputs.posterior, Deterministic):
            raise ValueError("a deterministic posterior has no density, and so no likelihood")
        return log_weights(outputs)

    return running_log_mean(log_w, key, num_samples=num_samples, chunk=chunk, num_examples=len(x))


def make_likelihoods(
    model: LatentModel, *, num_samples: int, batch_size: int = 100, mesh: Mesh | None = None
) -> Callable[[Params, Source, Array], Likelihoods]:
    """(params, source, key) -> `Likelihoods` [N] of all examples, compiled once per source.

    Args:
      model: needs a density of z.
      num_samples: K.
      batch_size: examples at a time.
      mesh: examples are split over its devices if they divide evenly.

    The returned function raises ValueError as `log_likelihood` does.
    """
    chunk = max(1, min(num_samples, ROWS // batch_size))
    one_batch = functools.partial(log_likelihood, model, num_samples=num_samples, chunk=chunk)
    run = over_batches(
        one_batch, batch_size=batch_size, mesh=mesh, description="log p(x) of importance samples"
    )

    def likelihoods(params: Params, source: Source, key: Array) -> Likelihoods:
        log_px, ess, elbo = run(params, source, key)
        return Likelihoods(log_px, ess, elbo, num_samples)

    return likelihoods
