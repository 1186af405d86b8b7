"""Student-t distributions: location and scale with tails of any weight."""

import dataclasses

import jax
import jax.numpy as jnp

from vae_jax.distributions.base import Distribution
from vae_jax.distributions.stirling import HALF_LOG_2PI, stirling_error
from vae_jax.types import Array, Scalar, pytree_dataclass, static


@pytree_dataclass
class StudentT(Distribution):
    """x = loc + scale t, with t of Student's distribution with df > 0 degrees of freedom.

        p(t) = Gamma((df + 1) / 2) / (Gamma(df / 2) sqrt(df pi)) (1 + t^2 / df)^(-(df + 1) / 2)

    It is a Cauchy distribution for df = 1 and tends to N(loc, scale^2) as df grows. The variance
    is scale^2 df / (df - 2) for df > 2 and infinite below.
    """

    loc: Array  # [*batch, *event]
    log_scale: Array  # broadcasts to [*batch, *event]
    df: Array  # broadcasts to [*batch, *event]
    event_ndims: int = static(1)

    @property
    def mean(self) -> Array:
        """The location, [*batch, *event]: the mean for df > 1, and the median for any df."""
        return self.loc

    @property
    def stddev(self) -> Array:
        """The standard deviation, which broadcasts to [*batch, *event]; infinite for df <= 2."""
        df = jnp.asarray(self.df, jnp.float32)
        spread = jnp.where(df > 2, df / jnp.where(df > 2, df - 2, 1), jnp.inf)
        return jnp.exp(self.log_scale) * jnp.sqrt(spread)

    def sample(self, key: Array, shape: tuple[int, ...] = ()) -> Array:
        """Samples ``[*shape, *batch, *event]``, differentiable in all parameters.

        t is N(0, 1) / sqrt(g / (df / 2)) with g ~ Gamma(df / 2). The gradient in df is by implicit
        reparameterization (Figurnov et al., 2018, arXiv:1805.08498).
        """
        key_normal, key_gamma = jax.random.split(key)
        shape = (*shape, *self.loc.shape)
        half = jnp.broadcast_to(jnp.asarray(self.df, self.loc.dtype) / 2, shape)
        log_gamma = jax.random.loggamma(key_gamma, half, shape, self.loc.dtype)
        normal = jax.random.normal(key_normal, shape, self.loc.dtype)
        return self.loc + normal * jnp.exp(self.log_scale + 0.5 * (jnp.log(half) - log_gamma))

    def _narrow(self, temperature: Scalar) -> "StudentT":
        return dataclasses.replace(self, log_scale=self.log_scale + jnp.log(temperature))

    def log_prob_terms(self, value: Array) -> Array:
        df = jnp.asarray(self.df, jnp.float32)
        root = (value - self.loc) * jnp.exp(-self.log_scale) / jnp.sqrt(df)  # t / sqrt(df)
        return _log_constant(df / 2) - self.log_scale - 0.5 * (df + 1) * _log1p_square(root)


def _log_constant(a: Array) -> Array:
    """Return log(Gamma(a + 1/2) / (Gamma(a) sqrt(2 pi a))), by Stirling's formula for both."""
    errors = stirling_error(a + 0.5) - stirling_error(a)
    return a * jnp.log1p(0.5 / a) - 0.5 + errors - HALF_LOG_2PI


def _log1p_square(r: Array) -> Array:
    """Return log(1 + r^2) for any finite r: r^2 overflows where its logarithm does not."""
    magnitude = r * jnp.sign(r)  # its gradient at 0 is 0
    far = magnitude > 1
    near = jnp.log1p(jnp.square(jnp.where(far, 0, r)))
    inverse = 1 / jnp.where(far, magnitude, 1)
    return jnp.where(far, jnp.log1p(jnp.square(inverse)) - 2 * jnp.log(inverse), near)
