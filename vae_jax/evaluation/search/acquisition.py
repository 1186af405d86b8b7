"""Expected improvement, and the batches of codes that maximize it."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vae_jax.evaluation.search.ascent import ascend
from vae_jax.evaluation.search.gaussian_process import GaussianProcess
from vae_jax.types import Array, Scalar


def expected_improvement(mean: Array, stddev: Array, best: Scalar) -> Array:
    """E[max(f - best, 0)] for f ~ N(mean, stddev^2), elementwise, in the unit of f.

        stddev (u Phi(u) + phi(u)),    u = (mean - best) / stddev

    To be maximized. With stddev 0 it is max(mean - best, 0). Jones et al., 1998,
    doi:10.1023/A:1008306431147.
    """
    is_random = stddev > 0
    safe = jnp.where(is_random, stddev, 1.0)
    u = (mean - best) / safe
    improvement = safe * (u * jax.scipy.stats.norm.cdf(u) + jax.scipy.stats.norm.pdf(u))
    return jnp.where(is_random, jnp.maximum(improvement, 0.0), jnp.maximum(mean - best, 0.0))


def log_expected_improvement(mean: Array, stddev: Array, best: Scalar) -> Array:
    """Log of `expected_improvement`, elementwise: finite, with a gradient where that is 0.

    For u below -1 it is log phi(u) + log(1 - |u| Phi(u) / phi(u)), and far below, where that loses
    its digits, log phi(u) + log(u^-2 - 3 u^-4 + 15 u^-6) (after Ament et al., 2023,
    arXiv:2310.20708). Needs stddev > 0.
    """
    u = (mean - best) / stddev
    return jnp.log(stddev) + _log_h(u)


def _log_h(u: Array) -> Array:
    """Log(u Phi(u) + phi(u)), by three branches that are each finite everywhere."""
    norm = jax.scipy.stats.norm
    far = -((105 / jnp.finfo(u.dtype).eps) ** 0.1)  # where eps u^4 is the next term, 105 u^-6
    upper = jnp.maximum(u, -1.0)
    middle = jnp.clip(u, far, -1.0)
    lower = jnp.minimum(u, far)
    ratio = jnp.exp(norm.logcdf(middle) - norm.logpdf(middle))  # of Mills
    return jnp.where(
        u > -1,
        jnp.log(upper * norm.cdf(upper) + norm.pdf(upper)),
        jnp.where(
            u > far,
            norm.logpdf(middle) + jnp.log1p(middle * ratio),
            norm.logpdf(lower) - 2 * jnp.log(-lower) + jnp.log1p(-3 / lower**2 + 15 / lower**4),
        ),
    )


def propose(
    process: GaussianProcess,
    starts: Array,
    best: float,
    number: int,
    *,
    num_steps: int = 50,
    step_size: Scalar = 0.1,
    max_distance: Scalar | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Propose codes [n, D] of high expected improvement, n at most `number`.

    `ascend` climbs log EI from each of `starts` [S, D]. Of the S codes that it reaches, `choose`
    takes a batch.

    Returns:
      the codes, and the index [n] of the start of each.
    """
    z, mean, covariance = _climb(
        process, starts, best, step_size, max_distance, num_steps=num_steps
    )
    index = choose(mean, covariance, float(process.noise_variance), best, number)
    return np.asarray(z)[index], index


@functools.partial(jax.jit, static_argnames="num_steps")
def _climb(
    process: GaussianProcess,
    starts: Array,
    best: Scalar,
    step_size: Scalar,
    max_distance: Scalar | None,
    *,
    num_steps: int,
) -> tuple[Array, Array, Array]:
    """The codes [S, D] that the starts reach, with their joint posterior."""

    def log_improvement(z: Array) -> Array:
        mean, stddev = process.posterior(z)
        return log_expected_improvement(mean, stddev, best)

    z = ascend(
        log_improvement,
        starts,
        num_steps=num_steps,
        step_size=step_size,
        max_distance=max_distance,
    ).z
    mean, covariance = process.joint_posterior(z)
    return z, mean, covariance


def choose(
    mean: Any, covariance: Any, noise_variance: float, best: float, number: int
) -> np.ndarray:
    """Choose a batch of S codes with a joint posterior, one after another by expected improvement.

    After each choice, the posterior is that given the mean at the chosen code as its value: the
    means stay, and

        C <- C - c_i c_i^T / (C_ii + noise variance),    best <- max(best, mean_i).

    So codes close to a chosen one lose their improvement (the kriging believer of Ginsbourger et
    al., 2010, doi:10.1007/978-3-642-10701-6_6). No code is chosen twice.

    Args:
      mean: [S].
      covariance: [S, S], of the function without noise.
      noise_variance: of a value.
      best: the value to improve.
      number: size of the batch.

    Returns:
      the indices of the batch, [min(number, S)].
    """
    mean, covariance = np.asarray(mean, np.float64), np.array(covariance, np.float64)
    chosen: list[int] = []
    is_left = np.ones(len(mean), bool)
    for _ in range(min(number, len(mean))):
        stddev = np.sqrt(np.maximum(np.diagonal(covariance), 0))
        gain = np.asarray(expected_improvement(jnp.asarray(mean), jnp.asarray(stddev), best))
        i = int(np.where(is_left, gain, -np.inf).argmax())
        chosen.append(i)
        is_left[i] = False
        column = covariance[:, i]
        covariance -= np.outer(column, column) / (column[i] + noise_variance)
        best = max(best, float(mean[i]))
    return np.array(chosen, int)
