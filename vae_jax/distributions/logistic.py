"""Discretized logistic distributions on the grid k / (levels - 1) in [0, 1].

The outer bins extend to infinity, so the masses sum to one.
"""

import math
from typing import ClassVar

import jax
import jax.numpy as jnp

from vae_jax.distributions.base import Distribution, sum_event
from vae_jax.distributions.discrete import choose
from vae_jax.distributions.grid import Stacked, on_grid, to_grid, to_index
from vae_jax.types import Array, pytree_dataclass, static

NARROW = 0.1  # bins narrower than this, in units of the scale, use a series for their log mass


@pytree_dataclass
class DiscretizedLogistic(Distribution):
    """The grid value nearest to a sample of Logistic(loc, exp(log_scale)), in the units of x.

    P(k) = F(e_{k+1}) - F(e_k) with F the sigmoid of (e - loc) / scale and e_k = (k - 1/2) / (levels
    - 1), except F(e_0) = 0 and F(e_levels) = 1 (Kingma et al., 2016, arXiv:1606.04934; outer bins
    as in Salimans et al., 2017, arXiv:1701.05517).
    """

    loc: Array  # [*batch, *event]
    log_scale: Array  # broadcasts to [*batch, *event]
    levels: int = static(256)
    event_ndims: int = static(1)

    @property
    def mean(self) -> Array:
        """The exact mean of the discrete value, [*batch, *event], by a loop over the levels."""
        return grid_mean(self.loc, self.log_scale, self.levels)

    def sample(self, key: Array, shape: tuple[int, ...] = ()) -> Array:
        noise = jax.random.logistic(key, (*shape, *self.loc.shape), self.loc.dtype)
        return to_grid(self.loc + jnp.exp(self.log_scale) * noise, self.levels)

    def log_prob_terms(self, value: Array) -> Array:
        terms = log_mass(value, self.loc, self.log_scale, self.levels)
        return jnp.where(on_grid(value, self.levels), terms, -jnp.inf)


@pytree_dataclass
class DiscretizedLogisticMixture(Stacked):
    """A mixture of M discretized logistics in each dimension, independently."""

    loc: Array  # [*batch, *event, M]
    log_scale: Array  # [*batch, *event, M]
    logits: Array  # [*batch, *event, M]: the weights are their softmax
    levels: int = static(256)
    event_ndims: int = static(1)

    @property
    def mean(self) -> Array:
        """The exact mean of the discrete value, [*batch, *event], by a loop over the levels."""
        return jnp.sum(
            jax.nn.softmax(self.logits) * grid_mean(self.loc, self.log_scale, self.levels), -1
        )

    def sample(self, key: Array, shape: tuple[int, ...] = ()) -> Array:
        component_key, noise_key = jax.random.split(key)
        component = jax.random.categorical(component_key, self.logits, shape=(*shape, *self._span))
        noise = jax.random.logistic(noise_key, component.shape, self.loc.dtype)
        return to_grid(
            choose(self.loc, component) + jnp.exp(choose(self.log_scale, component)) * noise,
            self.levels,
        )

    def log_prob_terms(self, value: Array) -> Array:
        terms = log_mass(value[..., None], self.loc, self.log_scale, self.levels)
        terms = jax.nn.logsumexp(jax.nn.log_softmax(self.logits) + terms, axis=-1)
        return jnp.where(on_grid(value, self.levels), terms, -jnp.inf)


@pytree_dataclass
class ColorLogisticMixture(Stacked):
    """A mixture of M discretized logistics over whole pixels (r, g, b).

    Salimans et al., 2017, arXiv:1701.05517. Given the component, the channels follow in order, and
    the locations of g and b are linear in earlier channels: loc_g + c_0 (r - 1/2) and loc_b + c_1
    (r - 1/2) + c_2 (g - 1/2).
    """

    loc: Array  # [*batch, H, W, 3, M]
    log_scale: Array  # [*batch, H, W, 3, M]
    coefficients: Array  # [*batch, H, W, 3, M]: g from r, b from r, b from g
    logits: Array  # [*batch, H, W, M]: the weights are their softmax
    levels: int = static(256)
    event_ndims: int = static(3)
    factorized: ClassVar[bool] = False

    @property
    def mean(self) -> Array:
        """The mean [*batch, H, W, 3] of the discrete value: exact for r, approximate for g and b.

        The locations of g and b use the mean r and g of each component. The error comes from
        clipping at the ends of the grid; it is zero if no component reaches them.
        """
        means: list[Array] = []
        for channel in range(3):
            loc = self._loc(channel, means)
            means.append(grid_mean(loc, self.log_scale[..., channel, :], self.levels))
        return jnp.sum(jax.nn.softmax(self.logits)[..., None, :] * jnp.stack(means, -2), -1)

    def sample(self, key: Array, shape: tuple[int, ...] = ()) -> Array:
        component_key, noise_key = jax.random.split(key)
        component = jax.random.categorical(
            component_key, self.logits, shape=(*shape, *self.logits.shape[:-1])
        )

        def select(numbers: Array) -> Array:
            return choose(numbers, component[..., None])[..., None]  # [..., H, W, 3, 1]

        selection = ColorLogisticMixture(
            select(self.loc), select(self.log_scale), select(self.coefficients), self.logits
        )
        noise = jnp.exp(selection.log_scale) * jax.random.logistic(
            noise_key, selection.loc.shape, self.loc.dtype
        )
        pixel: list[Array] = []
        for channel in range(3):
            value = selection._loc(channel, pixel) + noise[..., channel, :]
            pixel.append(to_grid(value, self.levels))
        return jnp.concatenate(pixel, -1)

    def log_prob_terms(self, value: Array) -> Array:
        """Terms log p(r), log p(g | r), log p(b | r, g) of each pixel, ``[..., H, W, 3]``."""
        # Joint over the channels up to and including each.
        joint = jax.nn.logsumexp(jnp.cumsum(self._log_joint(value), axis=-2), axis=-1)
        terms = joint - jnp.concatenate([jnp.zeros_like(joint[..., :1]), joint[..., :-1]], -1)
        return jnp.where(on_grid(value, self.levels), terms, -jnp.inf)

    def log_prob(self, value: Array) -> Array:
        self._assert_event(value)
        pixels = jax.nn.logsumexp(self._log_joint(value).sum(-2), axis=-1)
        return sum_event(jnp.where(on_grid(value, self.levels).all(-1), pixels, -jnp.inf), 2)

    def _log_joint(self, value: Array) -> Array:
        """Terms ``[..., H, W, 3, M]``.

        Their sums over the first channels are log p(component, these channels).
        """
        value = to_grid(value, self.levels)
        channels = [value[..., channel, None] for channel in range(3)]
        locs = jnp.stack([self._loc(channel, channels) for channel in range(3)], -2)
        terms = log_mass(value[..., None], locs, self.log_scale, self.levels)
        return terms.at[..., 0, :].add(jax.nn.log_softmax(self.logits))

    def _loc(self, channel: int, before: list[Array]) -> Array:
        """The location of a channel given the earlier channels, each ``[..., H, W, M or 1]``."""
        loc, c = self.loc[..., channel, :], self.coefficients
        if channel == 1:
            return loc + c[..., 0, :] * (before[0] - 0.5)
        if channel == 2:
            return loc + c[..., 1, :] * (before[0] - 0.5) + c[..., 2, :] * (before[1] - 0.5)
        shapes = [b.shape for b in before[:1]]
        return jnp.broadcast_to(loc, jnp.broadcast_shapes(loc.shape, *shapes))


def log_mass(x: Array, loc: Array, log_scale: Array, levels: int) -> Array:
    """Log mass of Logistic(loc, exp(log_scale)) in the bin of the grid value nearest to x.

    Elementwise, in the common shape of x, loc and log_scale, which broadcast.
    """
    k = to_index(x, levels)
    inverse_scale = jnp.exp(-log_scale)
    upper = ((k + 0.5) / (levels - 1) - loc) * inverse_scale
    lower = ((k - 0.5) / (levels - 1) - loc) * inverse_scale
    # sigmoid(u) - sigmoid(l) = sigmoid(u) sigmoid(-l) (1 - exp(l - u)) is exact in both tails;
    # an open end is a factor of 1.
    below, above = jax.nn.log_sigmoid(upper), jax.nn.log_sigmoid(-lower)
    inside = log_one_minus_exp(-math.log(levels - 1) - log_scale)
    first = k == 0
    last = k == levels - 1
    outer = jnp.where(last, 0, below) + jnp.where(first, 0, above)
    return outer + jnp.where(first | last, 0, inside)


def log_one_minus_exp(log_width: Array) -> Array:
    """log(1 - exp(-exp(log_width))), elementwise, with a finite value and gradient at any width."""
    narrow = log_width < math.log(NARROW)
    width = jnp.exp(jnp.where(narrow, log_width, math.log(NARROW)))
    series = log_width - width / 2 + jnp.square(width) / 24
    return jnp.where(narrow, series, jnp.log(-jnp.expm1(-jnp.exp(jnp.where(narrow, 0, log_width)))))


def grid_mean(loc: Array, log_scale: Array, levels: int) -> Array:
    """E[k] / (levels - 1), with E[k] the sum of P(K >= k) over k = 1 .. levels - 1.

    In the common shape of loc and log_scale, which broadcast.
    """
    loc, log_scale = jnp.broadcast_arrays(loc, log_scale)
    inverse_scale = jnp.exp(-log_scale)

    def add(k: int, total: Array) -> Array:
        return total + jax.nn.sigmoid((loc - (k - 0.5) / (levels - 1)) * inverse_scale)

    return jax.lax.fori_loop(1, levels, add, jnp.zeros_like(loc)) / (levels - 1)
