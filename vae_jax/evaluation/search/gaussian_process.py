"""Exact Gaussian process regression with a kernel that has a length scale for each dimension.

Rasmussen and Williams, 2006, chapters 2, 4 and 5. Its linear algebra needs 64 bits for data of low
noise: `double_precision` is a context in which JAX has them.
"""

import contextlib
import functools
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from vae_jax.errors import InputError, check_choice, check_range
from vae_jax.evaluation.common import check_same, matrix, vector
from vae_jax.types import Array, pytree_dataclass, static

KERNELS = ("matern52", "rbf")
MAX_POINTS = 2_000  # time grows with their cube, 2,000 take seconds for each step of a fit
MIN_NOISE = 1e-6  # smallest variance of the noise, relative to that of the values


class Hyperparameters(NamedTuple):
    """Logarithms of the parameters of kernel and noise, for standardized values."""

    log_scales: Any  # [D], length scales in the unit of z
    log_amplitude: Any  # [], standard deviation of the function
    log_noise: Any  # [], standard deviation of the noise


@pytree_dataclass
class GaussianProcess:
    """A Gaussian process given N points; a pytree.

    Values are y = offset + spread (f(z) + noise), with f ~ GP(0, k).
    """

    z: Array  # [N, D]
    hyperparameters: Hyperparameters
    cholesky: Array  # L [N, N], L L^T = K + noise^2 I
    weights: Array  # (K + noise^2 I)^-1 v, [N], of standardized values v
    offset: Array  # []
    spread: Array  # []
    kernel: str = static("matern52")

    @jax.jit
    def posterior(self, z: Array) -> tuple[Array, Array]:
        """Mean and standard deviation, each [M], of offset + spread f at z [M, D]."""
        mean, half = self._given(z)
        prior = jnp.exp(2 * self.hyperparameters.log_amplitude)
        variance = jnp.maximum(prior - jnp.square(half).sum(0), 1e-12 * prior)
        return mean, self.spread * jnp.sqrt(variance)

    @jax.jit
    def joint_posterior(self, z: Array) -> tuple[Array, Array]:
        """Mean [M] and covariance [M, M] of offset + spread f at z [M, D]."""
        mean, half = self._given(z)
        prior = kernel_matrix(self.kernel, self.hyperparameters, z, z)
        return mean, jnp.square(self.spread) * (prior - half.T @ half)

    @jax.jit
    def predict(self, z: Array) -> Array:
        """The posterior mean [M] at z [M, D]."""
        return self._given(z)[0]

    @property
    def noise_variance(self) -> Array:
        """The variance of a value given f, []."""
        return jnp.square(self.spread) * jnp.exp(2 * self.hyperparameters.log_noise)

    def _given(self, z: Array) -> tuple[Array, Array]:
        """The mean [M], and L^-1 k(points, z), [N, M]."""
        cross = kernel_matrix(self.kernel, self.hyperparameters, z, self.z)
        half = jax.scipy.linalg.solve_triangular(self.cholesky, cross.T, lower=True)
        return self.offset + self.spread * (cross @ self.weights), half


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
    hyperparameters: Hyperparameters, z: Array, v: Array, *, kernel: str = "matern52"
) -> Array:
    """Log p(v | z) = -v^T C^-1 v / 2 - log|C| / 2 - N log(2 pi) / 2, with C = K + noise^2 I."""
    factor, weights = _factorize(hyperparameters, z, v, kernel)
    log_det = 2 * jnp.log(jnp.diagonal(factor)).sum()
    return -(v @ weights + log_det + len(v) * math.log(2 * math.pi)) / 2


def _factorize(
    hyperparameters: Hyperparameters, z: Array, v: Array, kernel: str
) -> tuple[Array, Array]:
    noise = jnp.exp(2 * hyperparameters.log_noise)
    covariance = kernel_matrix(kernel, hyperparameters, z, z)
    factor = stable_cholesky(covariance + noise * jnp.eye(len(z), dtype=covariance.dtype))
    return factor, jax.scipy.linalg.cho_solve((factor, True), v)


def condition(
    hyperparameters: Hyperparameters, z: Any, values: Any, *, kernel: str = "matern52"
) -> GaussianProcess:
    """The Gaussian process given values [N] at z [N, D], under hyper-parameters as they are.

    Values are standardized by their own mean and deviation.
    """
    arrays = jax.tree.map(jnp.asarray, (hyperparameters, z, values))
    return _condition(*arrays, kernel=kernel)


@functools.partial(jax.jit, static_argnames="kernel")
def _condition(
    hyperparameters: Hyperparameters, z: Array, values: Array, *, kernel: str
) -> GaussianProcess:
    offset, spread = values.mean(), values.std()
    spread = jnp.where(spread > 0, spread, 1.0)
    factor, weights = _factorize(hyperparameters, z, (values - offset) / spread, kernel)
    return GaussianProcess(z, hyperparameters, factor, weights, offset, spread, kernel)


def fit_gaussian_process(
    z: Any,
    values: Any,
    *,
    kernel: str = "matern52",
    num_steps: int = 100,
    learning_rate: float = 0.1,
    start: Hyperparameters | None = None,
) -> GaussianProcess:
    """Fit a Gaussian process to values [N] at codes z [N, D], N at most 2,000.

    Adam maximizes the log marginal likelihood over the logarithms of length scales, amplitude and
    noise, from length scales of sqrt(D) standard deviations of each dimension, and keeps the best.
    Arrays have 64 bits in the context `double_precision`, else 32.

    Args:
      z: codes, [N, D].
      values: [N].
      kernel: "matern52" or "rbf".
      num_steps: of Adam; 0 keeps the start.
      learning_rate: of Adam.
      start: hyper-parameters to begin with, such as those of an earlier fit.

    Raises:
      InputError: more than 2,000 points; codes or values that are not finite or not of one length;
        an unknown kernel.
    """
    z = matrix("z", z, min_length=2)
    values = vector("values", values)
    check_same("len(values)", len(values), "z", len(z))
    check_choice("kernel", kernel, KERNELS)
    check_range("num_steps", num_steps, 0)
    check_range("learning_rate", learning_rate, 0, open_low=True)
    if len(z) > MAX_POINTS:
        raise InputError(f"z: has {len(z)} points; must be at most {MAX_POINTS}, use a subset")
    start = default_hyperparameters(z) if start is None else start
    spread = values.std()
    v = (values - values.mean()) / (spread if spread > 0 else 1.0)
    arrays = jax.tree.map(jnp.asarray, (start, z, v))
    best = _maximize(*arrays, kernel=kernel, num_steps=num_steps, learning_rate=learning_rate)
    return condition(best, z, values, kernel=kernel)


def default_hyperparameters(z: np.ndarray) -> Hyperparameters:
    """Length scales of sqrt(D) standard deviations, amplitude 1, noise 0.3."""
    scale = z.std(axis=0)
    scales = math.sqrt(z.shape[1]) * np.where(scale > 0, scale, 1.0)
    return Hyperparameters(np.log(scales), np.zeros(()), np.log(np.full((), 0.3)))


@functools.partial(jax.jit, static_argnames=("kernel", "num_steps", "learning_rate"))
def _maximize(
    start: Hyperparameters, z: Array, v: Array, *, kernel: str, num_steps: int, learning_rate: float
) -> Hyperparameters:
    """The best hyper-parameters on the way of Adam."""
    tx = optax.adam(learning_rate)

    def loss(parameters: Hyperparameters) -> Array:
        return -log_marginal_likelihood(parameters, z, v, kernel=kernel) / len(v)

    def step(carry: Any, _: None) -> tuple[Any, None]:
        parameters, optimizer, best, best_loss = carry
        value, slope = jax.value_and_grad(loss)(parameters)
        best = _choose(value < best_loss, parameters, best)
        updates, optimizer = tx.update(slope, optimizer)
        parameters = optax.apply_updates(parameters, updates)
        noise = jnp.maximum(parameters.log_noise, math.log(MIN_NOISE) / 2)
        parameters = parameters._replace(log_noise=noise)
        best_loss = jnp.where(value < best_loss, value, best_loss)  # stays if NaN
        return (parameters, optimizer, best, best_loss), None

    carry = start, tx.init(start), start, jnp.asarray(jnp.inf, v.dtype)
    (last, _, best, best_loss), _ = jax.lax.scan(step, carry, None, length=num_steps)
    return _choose(loss(last) < best_loss, last, best)


def _choose(is_first: Array, first: Any, second: Any) -> Any:
    return jax.tree.map(lambda a, b: jnp.where(is_first, a, b), first, second)
