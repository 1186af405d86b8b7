"""Exact Gaussian process regression with a kernel that has a length scale for each dimension.

Rasmussen and Williams, 2006, chapters 2, 4 and 5. Its linear algebra needs 64 bits for data of low
noise, as in the context `double_precision`.
"""

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from vae_jax.errors import InputError, check_choice, check_range
from vae_jax.evaluation.common import check_same, matrix, vector
from vae_jax.evaluation.search.covariance import (
    KERNELS,
    Hyperparameters,
    kernel_matrix,
    log_marginal_likelihood,
    noisy_covariance,
    stable_cholesky,
)
from vae_jax.types import Array, pytree_dataclass, static

MAX_POINTS = 2_000  # time grows with their cube, 2,000 take seconds for each step of a fit
MIN_NOISE = 1e-6  # smallest variance of the noise, relative to that of the values


@pytree_dataclass
class GaussianProcess:
    """A Gaussian process given N points; a pytree.

    Values are y = offset + spread (f(z) + noise), with f ~ GP(0, k). Points that are not `known`
    fill up the arrays, and change nothing.
    """

    z: Array  # [N, D]
    known: Array  # [N], 1 or 0
    hyperparameters: Hyperparameters
    cholesky: Array  # L [N, N], L L^T = K + noise^2 I; the identity at points not known
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
        cross = kernel_matrix(self.kernel, self.hyperparameters, z, self.z) * self.known
        half = jax.scipy.linalg.solve_triangular(self.cholesky, cross.T, lower=True)
        return self.offset + self.spread * (cross @ self.weights), half


def condition(
    hyperparameters: Hyperparameters,
    z: Any,
    values: Any,
    *,
    kernel: str = "matern52",
    capacity: int | None = None,
) -> GaussianProcess:
    """The Gaussian process given values [N] at z [N, D], under hyper-parameters as they are.

    Values are standardized by their own mean and deviation. With a `capacity` of at least N points,
    one compiled program serves all N.
    """
    z, values, known = _fill(np.asarray(z), np.asarray(values), capacity)
    arrays = jax.tree.map(jnp.asarray, (hyperparameters, z, values, known))
    return _condition(*arrays, kernel=kernel)


def _fill(
    z: np.ndarray, values: np.ndarray, capacity: int | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points, values and `known`, filled up to the capacity."""
    more = max(0, (capacity or 0) - len(z))
    known = np.append(np.ones(len(z)), np.zeros(more))
    return np.pad(z, [(0, more), (0, 0)]), np.pad(values, (0, more)), known


def _standardize(values: Array, known: Array) -> tuple[Array, Array, Array]:
    """Standardized values, 0 if not known, with their mean and deviation."""
    offset = (values * known).sum() / known.sum()
    centered = (values - offset) * known
    spread = jnp.sqrt(jnp.square(centered).sum() / known.sum())
    spread = jnp.where(spread > 0, spread, 1.0)
    return centered / spread, offset, spread


@functools.partial(jax.jit, static_argnames="kernel")
def _condition(
    hyperparameters: Hyperparameters, z: Array, values: Array, known: Array, *, kernel: str
) -> GaussianProcess:
    v, offset, spread = _standardize(values, known)
    factor = stable_cholesky(noisy_covariance(hyperparameters, z, known, kernel))
    weights = jax.scipy.linalg.cho_solve((factor, True), v)
    return GaussianProcess(z, known, hyperparameters, factor, weights, offset, spread, kernel)


def fit_gaussian_process(
    z: Any,
    values: Any,
    *,
    kernel: str = "matern52",
    num_steps: int = 100,
    learning_rate: float = 0.1,
    start: Hyperparameters | None = None,
    capacity: int | None = None,
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
      capacity: number of points that the arrays have room for, so that one compiled program serves
        several fits.

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
    if max(len(z), capacity or 0) > MAX_POINTS:
        number = max(len(z), capacity or 0)
        raise InputError(f"z: {number} points; must be at most {MAX_POINTS}, use a subset")
    start = default_hyperparameters(z) if start is None else start
    arrays = jax.tree.map(jnp.asarray, (start, *_fill(z, values, capacity)))
    best = _maximize(*arrays, kernel=kernel, num_steps=num_steps, learning_rate=learning_rate)
    return condition(best, z, values, kernel=kernel, capacity=capacity)


def default_hyperparameters(z: np.ndarray) -> Hyperparameters:
    """Length scales of sqrt(D) standard deviations of z [N, D], amplitude 1, noise 0.3."""
    scale = z.std(axis=0)
    scales = math.sqrt(z.shape[1]) * np.where(scale > 0, scale, 1.0)
    return Hyperparameters(np.log(scales), np.zeros(()), np.log(np.full((), 0.3)))


@functools.partial(jax.jit, static_argnames=("kernel", "num_steps", "learning_rate"))
def _maximize(
    start: Hyperparameters,
    z: Array,
    values: Array,
    known: Array,
    *,
    kernel: str,
    num_steps: int,
    learning_rate: float,
) -> Hyperparameters:
    """The best hyper-parameters on the way of Adam."""
    tx = optax.adam(learning_rate)
    v = _standardize(values, known)[0]

    def loss(parameters: Hyperparameters) -> Array:
        value = log_marginal_likelihood(parameters, z, v, kernel=kernel, known=known)
        return -value / known.sum()

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
