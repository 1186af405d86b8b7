"""Covariances of a Gaussian process, its marginal likelihood, and its linear algebra."""

import contextlib
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from vae_jax.types import Array

KERNELS = ("matern52", "rbf")


class Hyperparameters(NamedTuple):
    """Logarithms of the parameters of kernel and noise, for standardized values."""

    log_scales: Any  # [D], length scales in the unit of z
    log_amplitude: Any  # [], standard deviation of the function
    log_noise: Any  # [], standard deviation of the noise


def double_precision(enabled: bool = True) -> contextlib.AbstractContextManager:
    """A context in which new arrays of JAX have 64 bits."""
    if hasattr(jax, "enable_x64"):
        return jax.enable_x64(enabled)
    from jax.experimental import enable_x64  # type: ignore[attr-defined]  # jax before 0.8

    return enable_x64(enabled)


def kernel_matrix(kernel: str, hyperparameters: Hyperparameters, a: Array, b: Array) -> Array:
    """K [N, M] between a [N, D] and b [M, D], with r the distance of a / scales to b / scales.

    rbf        amplitude^2 exp(-r^2 / 2)
    matern52   amplitude^2 (1 + sqrt(5) r + 5 r^2 / 3) exp(-sqrt(5) r)
    """
    scales = jnp.exp(hyperparameters.log_scales)
    a, b = a / scales, b / scales
    squares = jnp.square(a).sum(-1)[:, None] + jnp.square(b).sum(-1) - 2 * a @ b.T
    amplitude = jnp.exp(2 * hyperparameters.log_amplitude)
    if kernel == "rbf":
        return amplitude * jnp.exp(-jnp.maximum(squares, 0) / 2)
    # The root has no gradient at 0, where that of the kernel is 0.
    r = jnp.sqrt(5 * jnp.maximum(squares, 1e-20))
    return amplitude * (1 + r + jnp.square(r) / 3) * jnp.exp(-r)


def stable_cholesky(matrix: Array) -> Array:
    """The lower factor of a matrix [N, N], with the least jitter on its diagonal that allows it.

    The jitter is 0, else from 10 eps times the mean of the diagonal upwards, times 10 until the
    factor is finite. It has no gradient.
    """
    mean, eps = jnp.diagonal(matrix).mean(), jnp.finfo(matrix.dtype).eps
    eye = jnp.eye(len(matrix), dtype=matrix.dtype)

    def fails(state: tuple[Array, Array]) -> Array:
        jitter, factor = state
        return ~jnp.isfinite(factor).all() & (jitter < 1e-2 * mean)

    def grow(state: tuple[Array, Array]) -> tuple[Array, Array]:
        jitter = jnp.where(state[0] > 0, 10 * state[0], 10 * eps * mean)
        return jitter, jnp.linalg.cholesky(matrix + jitter * eye)

    start = jnp.zeros((), matrix.dtype), jnp.linalg.cholesky(matrix)
    return jax.lax.while_loop(fails, grow, start)[1]


@jax.custom_vjp
def log_normal(covariance: Array, v: Array) -> Array:
    """The log density of N(0, C) at v [N]: -v^T C^-1 v / 2 - log|C| / 2 - N log(2 pi) / 2.

    Its gradients are (w w^T - C^-1) / 2 by C, and -w by v, with w = C^-1 v.
    """
    return _log_normal_forward(covariance, v)[0]


def _log_normal_forward(covariance: Array, v: Array) -> tuple[Array, tuple[Array, Array]]:
    factor = stable_cholesky(covariance)
    weights = jax.scipy.linalg.cho_solve((factor, True), v)
    log_det = 2 * jnp.log(jnp.diagonal(factor)).sum()
    value = -(v @ weights + log_det + len(v) * math.log(2 * math.pi)) / 2
    return value, (factor, weights)


def _log_normal_backward(residuals: tuple[Array, Array], g: Array) -> tuple[Array, Array]:
    factor, weights = residuals
    inverse = jax.scipy.linalg.cho_solve((factor, True), jnp.eye(len(factor), dtype=factor.dtype))
    return g * (jnp.outer(weights, weights) - inverse) / 2, -g * weights


log_normal.defvjp(_log_normal_forward, _log_normal_backward)


def noisy_covariance(
    hyperparameters: Hyperparameters, z: Array, known: Array, kernel: str
) -> Array:
    """C = K + noise^2 I, [N, N]; points with `known` 0 are independent, with variance 1."""
    noise = jnp.exp(2 * hyperparameters.log_noise)
    covariance = kernel_matrix(kernel, hyperparameters, z, z) * known * known[:, None]
    return covariance + jnp.diag(jnp.where(known > 0, noise, 1.0))


def log_marginal_likelihood(
    hyperparameters: Hyperparameters,
    z: Array,
    v: Array,
    *,
    kernel: str = "matern52",
    known: Array | None = None,
) -> Array:
    """Log p(v | z) = log N(v; 0, K + noise^2 I), [], for v [N] at z [N, D].

    `known` [N] is 1 or 0; only points with 1 count.
    """
    known = jnp.ones_like(v) if known is None else known
    value = log_normal(noisy_covariance(hyperparameters, z, known, kernel), v * known)
    return value + (1 - known).sum() * math.log(2 * math.pi) / 2
