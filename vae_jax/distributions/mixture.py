"""Mixtures of Gaussians."""

import dataclasses
import functools

import chex
import jax
import jax.numpy as jnp

from vae_jax.distributions.base import Array, Distribution, Scalar, distribution
from vae_jax.distributions.gaussian import LOG_2PI


@distribution
class MixtureOfGaussians(Distribution):
    """sum_k w_k N(mean_k, diag(exp(logvar_k))), w = softmax(logits); over vectors.

        log p(z) = logsumexp_k(log w_k + log N(z; k))

    See `squared_distances` for how the values meet the components.
    """

    means: Array  # [*batch, K, D] of each component
    logvars: Array  # [*batch, K, D]
    logits: Array  # [*batch, K]
    event_ndims = 1

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
        """Differentiable in the means and scales of the components, not in their weights."""
        key_component, key_normal = jax.random.split(key)
        k = jax.random.categorical(key_component, self.logits, shape=(*shape, *self.batch_shape))
        mean, logvar = (_taken(array, k, len(shape)) for array in (self.means, self.logvars))
        return mean + jnp.exp(logvar / 2) * jax.random.normal(key_normal, mean.shape, mean.dtype)

    def component_log_probs(self, value: Array) -> Array:
        """Log N(value; k) for each component, [..., K]."""
        chex.assert_equal(value.shape[-1:], self.event_shape)
        squared = squared_distances(value, self.means, jnp.exp(-self.logvars))
        return -0.5 * (squared + self.logvars.sum(-1) + value.shape[-1] * LOG_2PI)

    def log_prob(self, value: Array) -> Array:
        return jax.nn.logsumexp(
            self.component_log_probs(value) + jax.nn.log_softmax(self.logits), axis=-1
        )

    def with_temperature(self, temperature: Scalar) -> "MixtureOfGaussians":
        """Each component with its standard deviation times the temperature, at the weight that it has."""
        return dataclasses.replace(self, logvars=self.logvars + 2 * jnp.log(temperature))


def _taken(array: Array, k: Array, num_axes: int) -> Array:
    """Rows k [*shape, *batch] of an array [*batch, K, D]; [*shape, *batch, D]."""
    array = array[(None,) * num_axes]
    return jnp.take_along_axis(array, k[..., None, None], axis=-2)[..., 0, :]


@jax.custom_jvp
def squared_distances(z: Array, means: Array, precisions: Array) -> Array:
    """sum_d (z_d - mean_kd)^2 precision_kd, [..., K]: of values [..., D] from components [*batch, K, D].

    Added up one dimension after the other, as it stands: expanded into products of matrices, the square of a component with
    standard deviations of 0.05 cancels to an error of 0.01 nats. Nothing of size [..., K, D] is kept. The derivative is such
    products, where what cancels is small against the gradient.
    """

    def add(total: Array, of_dimension: tuple[Array, Array, Array]) -> tuple[Array, None]:
        z, mean, precision = of_dimension
        return total + jnp.square(z[..., None] - mean) * precision, None

    shape = (*jnp.broadcast_shapes(z.shape[:-1], means.shape[:-2]), means.shape[-2])
    by_dimension = tuple(jnp.moveaxis(array, -1, 0) for array in (z, means, precisions))
    return jax.lax.scan(add, jnp.zeros(shape, z.dtype), by_dimension)[0]


@squared_distances.defjvp
def _by_products(
    primals: tuple[Array, Array, Array], tangents: tuple[Array, Array, Array]
) -> tuple[Array, Array]:
    z, means, precisions = primals
    dz, dmeans, dprecisions = tangents
    distances = squared_distances(z, means, precisions)
    origin = jax.lax.stop_gradient(means.mean(-2))  # the nearer to it, the less cancels
    z, means = z - origin, means - origin[..., None, :]
    # Exact products: the TF32 of a GPU or the bfloat16 of a TPU would not do for what cancels.
    product = functools.partial(jnp.einsum, "...d,...kd->...k", precision=jax.lax.Precision.HIGHEST)
    by_z = product(z * dz, precisions) - product(dz, means * precisions)
    by_means = (means * precisions * dmeans).sum(-1) - product(z, precisions * dmeans)
    by_precisions = product(jnp.square(z), dprecisions) - 2 * product(z, means * dprecisions)
    by_precisions += (jnp.square(means) * dprecisions).sum(-1)
    return distances, 2 * (by_z + by_means) + by_precisions
