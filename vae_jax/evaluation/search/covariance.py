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
    factor is finite.
    """
    fixed = jax.lax.stop_gradient(matrix)
    mean, eps = jnp.diagonal(fixed).mean(), jnp.finfo(matrix.dtype).eps
    eye = jnp.eye(len(matrix), dtype=matrix.dtype)

    def fails(jitter: Array) -> Array:
        is_finite = jnp.isfinite(jnp.linalg.cholesky(fixed + jitter * eye)).all()
        return ~is_finite & (jitter < 1e-2 * mean)

    def grow(jitter: Array) -> Array:
        return jnp.where(jitter > 0, 10 * jitter, 10 * eps * mean)

    jitter = jax.lax.while_loop(fails, grow, jnp.zeros((), matrix.dtype))
    return jnp.linalg.cholesky(matrix + jitter * eye)


def log_marginal_likelihood(
    hyperparameters: Hyperparameters,
    z: Array,
    v: Array,
    *,
    kernel: str = "matern52",
    known: Array | None = None,
) -> Array:
    """Log p(v | z) = -v^T C^-1 v / 2 - log|C| / 2 - N log(2 pi) / 2, with C = K + noise^2 I.

    `known` [N] is 1 or 0; only points with 1 count.
    """
    known = jnp.ones_like(v) if known is None else known
    factor, weights = factorize(hyperparameters, z, v * known, known, kernel)
    log_det = 2 * jnp.log(jnp.diagonal(factor)).sum()
    return -(v * known @ weights + log_det + known.sum() * math.log(2 * math.pi)) / 2


def factorize(
    hyperparameters: Hyperparameters, z: Array, v: Array, known: Array, kernel: str
) -> tuple[Array, Array]:
    """The Cholesky factor of C [N, N], and C^-1 v, [N]; points with `known` 0 are independent."""
    noise = jnp.exp(2 * hyperparameters.log_noise)
    covariance = kernel_matrix(kernel, hyperparameters, z, z) * known * known[:, None]
    factor = stable_cholesky(covariance + jnp.diag(jnp.where(known > 0, noise, 1.0)))
    return factor, jax.scipy.linalg.cho_solve((factor, True), v)
