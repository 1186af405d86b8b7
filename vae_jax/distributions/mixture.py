"""Mixtures of Gaussians."""

import dataclasses
import functools
from typing import ClassVar

import jax
import jax.numpy as jnp
from jax.custom_derivatives import SymbolicZero

from vae_jax.distributions.base import Distribution
from vae_jax.distributions.gaussian import LOG_2PI, DiagGaussian
from vae_jax.errors import InputError
from vae_jax.types import Array, Scalar, pytree_dataclass


@pytree_dataclass
class MixtureOfGaussians(Distribution):
    """sum_k w_k N(mean_k, diag(exp(logvar_k))) over vectors, with w = softmax(logits).

        log p(z) = logsumexp_k(log w_k + log N(z; k))

    `squared_distances` computes the exponents.
    """

    means: Array  # [*batch, K, D] of each component
    logvars: Array  # [*batch, K, D]
    logits: Array  # [*batch, K]
    event_ndims = 1
    factorized: ClassVar[bool] = False

    @property
    def event_shape(self) -> tuple[int, ...]:
        return self.means.shape[-1:]

    @property
    def batch_shape(self) -> tuple[int, ...]:
        return self.means.shape[:-2]

    @property
    def mean(self) -> Array:
        return jnp.sum(jax.nn.softmax(self.logits)[..., None] * self.means, -2)

    def sample(self, key: Array, shape: tuple[int, ...] = ()) -> Array:
        """Samples ``[*shape, *batch, D]``.

        Differentiable in the means and scales of the components, not in their weights.
        """
        key_component, key_normal = jax.random.split(key)
        k = jax.random.categorical(key_component, self.logits, shape=(*shape, *self.batch_shape))
        mean = _take_rows(self.means, k, len(shape))
        logvar = _take_rows(self.logvars, k, len(shape))
        return mean + jnp.exp(logvar / 2) * jax.random.normal(key_normal, mean.shape, mean.dtype)

    def component_log_probs(self, value: Array) -> Array:
        """Log N(value; k) of each component, [..., K], of a value [..., D]."""
        self._assert_event(value)
        squared = squared_distances(value, self.means, jnp.exp(-self.logvars))
        return -0.5 * (squared + self.logvars.sum(-1) + value.shape[-1] * LOG_2PI)

    def log_prob(self, value: Array) -> Array:
        joint = self.component_log_probs(value) + jax.nn.log_softmax(self.logits)
        return jax.nn.logsumexp(joint, axis=-1)

    def _narrow(self, temperature: Scalar) -> "MixtureOfGaussians":
        """Scale each standard deviation by the temperature; the weights are unchanged."""
        return dataclasses.replace(self, logvars=self.logvars + 2 * jnp.log(temperature))


def uniform_mixture(components: Distribution) -> MixtureOfGaussians:
    """The equally weighted mixture of K diagonal Gaussians over [K, D].

    Raises:
      InputError: the components are not diagonal Gaussians.
    """
    if not isinstance(components, DiagGaussian):
        raise InputError(f"components = {type(components).__name__}: must be a DiagGaussian")
    mean = components.mean
    logvars = jnp.broadcast_to(components.logvar, mean.shape)
    return MixtureOfGaussians(mean, logvars, jnp.zeros(mean.shape[0], mean.dtype))


def _take_rows(array: Array, k: Array, num_axes: int) -> Array:
    """Rows k [*shape, *batch] of an array [*batch, K, D]: [*shape, *batch, D]."""
    array = array[(None,) * num_axes]
    return jnp.take_along_axis(array, k[..., None, None], axis=-2)[..., 0, :]


@jax.custom_jvp
def squared_distances(z: Array, means: Array, precisions: Array) -> Array:
    """sum_d (z_d - mean_kd)^2 precision_kd, [..., K], of z [..., D] and means [*batch, K, D].

    The terms are added one dimension at a time. Expanded into matrix products, the squares would
    cancel to an error of 0.01 nats at standard deviations of 0.05. Nothing of size [..., K, D] is
    stored. The derivatives in z and the means do use such products: there the cancellation is small
    relative to the gradient. That in the precisions is added one dimension at a time, too.
    """
    return _sum_over_dimensions(z, means, precisions)


def _squared_distances_jvp(
    primals: tuple[Array, Array, Array], tangents: tuple[Array, Array, Array]
) -> tuple[Array, Array]:
    z, means, precisions = primals
    dz, dmeans, dprecisions = tangents
    distances = squared_distances(z, means, precisions)
    by_precisions = _by_precisions(z, means, dprecisions)
    dz, dmeans = _materialize(dz), _materialize(dmeans)
    origin = jax.lax.stop_gradient(means.mean(-2))  # the closer z is to it, the less cancels
    z, means = z - origin, means - origin[..., None, :]
    # Full float32: TF32 on GPU or bfloat16 on TPU would lose too much to cancellation.
    product = functools.partial(jnp.einsum, "...d,...kd->...k", precision=jax.lax.Precision.HIGHEST)
    by_z = product(z * dz, precisions) - product(dz, means * precisions)
    by_means = (means * precisions * dmeans).sum(-1) - product(z, precisions * dmeans)
    return distances, 2 * (by_z + by_means) + by_precisions


squared_distances.defjvp(_squared_distances_jvp, symbolic_zeros=True)


def _materialize(tangent: Array | SymbolicZero) -> Array:
    if isinstance(tangent, SymbolicZero):
        return jnp.zeros(tangent.shape, tangent.dtype)
    return tangent


def _by_precisions(z: Array, means: Array, dprecisions: Array | SymbolicZero) -> Array | float:
    """The derivative in the precisions, [..., K].

    Expanded, at a standard deviation of 0.001, it is a small difference of large products.
    """
    if isinstance(dprecisions, SymbolicZero):
        return 0.0
    # A loop of Python: before jax 0.8, a scan over a tangent has no transpose here.
    terms = (_term(z[..., d], means[..., d], dprecisions[..., d]) for d in range(z.shape[-1]))
    return functools.reduce(jnp.add, terms)


def _sum_over_dimensions(z: Array, means: Array, factors: Array) -> Array:
    """sum_d (z_d - mean_kd)^2 factor_kd, [..., K], one dimension at a time."""

    def add(total: Array, dimension: tuple[Array, ...]) -> tuple[Array, None]:
        return total + _term(*dimension), None

    shape = (*jnp.broadcast_shapes(z.shape[:-1], means.shape[:-2]), means.shape[-2])
    by_dimension = tuple(jnp.moveaxis(array, -1, 0) for array in (z, means, factors))
    return jax.lax.scan(add, jnp.zeros(shape, z.dtype), by_dimension)[0]


@jax.checkpoint  # the backward pass computes the squares again, instead of storing all
def _term(z: Array, mean: Array, factor: Array) -> Array:
    return jnp.square(z[..., None] - mean) * factor
