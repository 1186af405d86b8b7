"""Mean and variance, or probabilities, of each entry of a distribution and of a mixture.

A mixture over draws of z is known by its averages: `marginals` of p(x | z) are averaged by `mix`.

>>> import jax, jax.numpy as jnp
>>> from vae_jax import distributions
>>> p = distributions.DiagGaussian(jnp.array([[-1.0], [1.0]]), jnp.zeros(1))
>>> both = distributions.marginals(p, jax.random.key(0)).mix(jnp.array([1.0, 1.0]))
>>> both.center.tolist(), jnp.square(both.stddev).round(3).tolist()
([0.0], [2.0])
"""

import dataclasses
import functools
from typing import Any, Protocol, Self

import jax
import jax.numpy as jnp

from vae_jax.distributions.base import Distribution, allow_broadcasting
from vae_jax.distributions.batch import BatchShaped
from vae_jax.distributions.continuous_bernoulli import ContinuousBernoulli
from vae_jax.distributions.counts import (
    BetaBinomial,
    NegativeBinomial,
    Poisson,
    ZeroInflatedNegativeBinomial,
)
from vae_jax.distributions.deterministic import Deterministic
from vae_jax.distributions.discrete import Bernoulli, Categorical, GridCategorical
from vae_jax.distributions.gaussian import DiagGaussian
from vae_jax.distributions.laplace import Laplace
from vae_jax.distributions.log_normal import LogNormal
from vae_jax.distributions.mixed import Mixed
from vae_jax.distributions.ordinal import Ordinal
from vae_jax.distributions.scaled import Scaled
from vae_jax.distributions.student_t import StudentT
from vae_jax.errors import UnsupportedError
from vae_jax.types import Array, Scalar, pytree_dataclass, static


class Marginals(Protocol):
    """Statistics of each entry, a pytree of arrays [*lead, *event, ...]."""

    @property
    def center(self) -> Array:
        """The mean, or the most likely code, [*lead, *event]."""

    @property
    def stddev(self) -> Array:
        """The standard deviation, [*lead, *event]; NaN for codes, which have none."""

    @property
    def probability(self) -> Array:
        """The probability of the code in `center`, [*lead, *event]; NaN for numbers."""

    def mix(self, weights: Array) -> Self:
        """The marginals of a mixture over the first axis, with weights [K, *batch].

        Weights need not be normalized; all are zeros where no weight is above 0.
        """

    def scale(self, loc: Array, scale: Array) -> Self:
        """The marginals of loc + scale x, with loc and scale [C] for the last axis."""


@pytree_dataclass
class Moments:
    """Mean and variance of each entry."""

    mean: Array  # [*lead, *event]
    variance: Array  # [*lead, *event]

    @property
    def center(self) -> Array:
        return self.mean

    @property
    def stddev(self) -> Array:
        return jnp.sqrt(self.variance)

    @property
    def probability(self) -> Array:
        return jnp.full_like(self.mean, jnp.nan)

    def mix(self, weights: Array) -> "Moments":
        """The law of total variance, E[v + (m - E m)^2], with weights [K, *batch]."""
        mean = _average(self.mean, weights)
        return Moments(mean, _average(self.variance + jnp.square(self.mean - mean), weights))

    def scale(self, loc: Array, scale: Array) -> "Moments":
        return Moments(loc + scale * self.mean, jnp.square(scale) * self.variance)


@pytree_dataclass
class Masses:
    """Probabilities of each code 0 .. n - 1."""

    probabilities: Array  # [*lead, *event, n]

    @property
    def center(self) -> Array:
        return jnp.argmax(self.probabilities, -1).astype(self.probabilities.dtype)

    @property
    def stddev(self) -> Array:
        return jnp.full_like(self.probabilities[..., 0], jnp.nan)

    @property
    def probability(self) -> Array:
        return self.probabilities.max(-1)

    def mix(self, weights: Array) -> "Masses":
        return Masses(_average(self.probabilities, weights))

    def scale(self, loc: Array, scale: Array) -> "Masses":
        return self  # codes have no units


@pytree_dataclass
class ColumnMarginals:
    """Marginals of the columns of a table, grouped as the parts of `Mixed`."""

    parts: tuple[Any, ...]
    columns: tuple[tuple[int, ...], ...] = static()

    @property
    def center(self) -> Array:
        return self._in_place([part.center for part in self.parts])

    @property
    def stddev(self) -> Array:
        return self._in_place([part.stddev for part in self.parts])

    @property
    def probability(self) -> Array:
        return self._in_place([part.probability for part in self.parts])

    def mix(self, weights: Array) -> "ColumnMarginals":
        return self._of([part.mix(weights) for part in self.parts])

    def scale(self, loc: Array, scale: Array) -> "ColumnMarginals":
        pairs = zip(self.parts, self.columns, strict=True)
        return self._of([part.scale(loc[list(c),], scale[list(c),]) for part, c in pairs])

    def _of(self, parts: list[Any]) -> "ColumnMarginals":
        return dataclasses.replace(self, parts=tuple(parts))

    def _in_place(self, parts: list[Array]) -> Array:
        order = [column for columns in self.columns for column in columns]
        return jnp.concatenate(parts, axis=-1)[..., jnp.argsort(jnp.array(order))]


def _average(values: Array, weights: Array) -> Array:
    """The weighted mean over the first axis of values [K, *batch, ...]."""
    total = weights.sum(0)
    shares = weights / jnp.where(total > 0, total, 1)
    shares = shares.reshape(shares.shape + (1,) * (values.ndim - shares.ndim))
    return jnp.where(shares > 0, shares * values, 0).sum(0)  # 0 times an infinite variance is 0


@allow_broadcasting
def marginals(p: Distribution, key: Array) -> Marginals:
    """The marginals of each entry of p over [*batch, *event], given everything p depends on.

    Entries of codes have probabilities: categorical and ordinal ones, and the booleans of a table.
    All others have mean and variance. The variance is in closed form if known, else the squared
    distance of one draw to the mean, which has the right expectation.

    Raises:
      UnsupportedError: neither a mean nor codes.
    """
    return _marginals(p, key)


@functools.singledispatch
def _marginals(p: Distribution, key: Array) -> Marginals:
    if not p.has_mean:
        raise UnsupportedError(f"{type(p).__name__} has no mean of each entry")
    return Moments(p.mean, jnp.square(p.sample(key) - p.mean))


@_marginals.register
def _(p: Mixed, key: Array) -> Marginals:
    keys = jax.random.split(key, len(p.parts))
    parts = [_column_marginals(part, k) for part, k in zip(p.parts, keys, strict=True)]
    return ColumnMarginals(tuple(parts), p.columns)


def _column_marginals(p: Distribution, key: Array) -> Marginals:
    if isinstance(p, Bernoulli):
        return Masses(jnp.stack([jax.nn.sigmoid(-p.logits), jax.nn.sigmoid(p.logits)], -1))
    return _marginals(p, key)


@_marginals.register
def _(p: Scaled, key: Array) -> Marginals:
    loc, scale = (jnp.asarray(column, jnp.float32) for column in p.affine)
    return _marginals(p.base, key).scale(loc, scale)


@_marginals.register
def _(p: BatchShaped, key: Array) -> Marginals:
    def lay_out(leaf: Array) -> Array:
        return leaf.reshape(*p.batch, *leaf.shape[1:])

    return jax.tree.map(lay_out, _marginals(p.base, key))


@_marginals.register
def _(p: Categorical, _: Array) -> Marginals:
    return Masses(jax.nn.softmax(p.logits))


@_marginals.register
def _(p: Ordinal, _: Array) -> Marginals:
    return Masses(jnp.exp(p.log_masses))


@_marginals.register
def _(p: GridCategorical, _: Array) -> Marginals:
    grid = jnp.linspace(0, 1, p.levels, dtype=p.logits.dtype)
    squares = jnp.square(grid - p.mean[..., None])
    return Moments(p.mean, (jax.nn.softmax(p.logits) * squares).sum(-1))


@_marginals.register
def _(p: DiagGaussian, _: Array) -> Marginals:
    return _moments(p, jnp.exp(p.logvar))


@_marginals.register
def _(p: Laplace, _: Array) -> Marginals:
    return _moments(p, 2 * jnp.exp(2 * p.log_scale))


@_marginals.register
def _(p: StudentT, _: Array) -> Marginals:
    return _moments(p, jnp.square(p.stddev))


@_marginals.register
def _(p: LogNormal, _: Array) -> Marginals:
    return _moments(p, jnp.square(p.mean) * jnp.expm1(jnp.exp(2 * p.log_scale)))


@_marginals.register
def _(p: Deterministic, _: Array) -> Marginals:
    return _moments(p, 0.0)


@_marginals.register
def _(p: Bernoulli, _: Array) -> Marginals:
    return _moments(p, p.mean * jax.nn.sigmoid(-p.logits))


@_marginals.register
def _(p: ContinuousBernoulli, _: Array) -> Marginals:
    def mean(logits: Array) -> Array:
        return dataclasses.replace(p, logits=logits).mean

    # An exponential family: the variance is the derivative of the mean in the logits.
    return _moments(p, jax.jvp(mean, (p.logits,), (jnp.ones_like(p.logits),))[1])


@_marginals.register
def _(p: BetaBinomial, _: Array) -> Marginals:
    n, total = p.levels - 1, jnp.exp(p.log_alpha) + jnp.exp(p.log_beta)
    product = p.mean * jax.nn.sigmoid(p.log_beta - p.log_alpha)
    return _moments(p, product * (total + n) / ((total + 1) * n))


@_marginals.register
def _(p: NegativeBinomial, _: Array) -> Marginals:
    return _moments(p, p.mean + jnp.exp(2 * p.log_mean - p.log_inverse_dispersion))


@_marginals.register
def _(p: Poisson, _: Array) -> Marginals:
    return _moments(p, p.mean)


@_marginals.register
def _(p: ZeroInflatedNegativeBinomial, key: Array) -> Marginals:
    counts = _marginals(p.counts, key)
    gate = jnp.broadcast_to(p.gate, p.log_mean.shape)
    both = jax.tree.map(lambda leaf: jnp.stack([jnp.zeros_like(leaf), leaf]), counts)
    return both.mix(jnp.stack([jax.nn.sigmoid(gate), jax.nn.sigmoid(-gate)]))


def _moments(p: Distribution, variance: Scalar) -> Moments:
    return Moments(p.mean, jnp.broadcast_to(variance, p.mean.shape))
