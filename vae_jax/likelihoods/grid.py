"""Likelihoods on a grid in [0, 1], such as 8-bit images: masses that sum to one over the levels."""

from collections.abc import Sequence

import jax.numpy as jnp
from flax import linen as nn

from vae_jax import distributions
from vae_jax.distributions import Distribution, soft_clip
from vae_jax.likelihoods.base import GridLikelihood
from vae_jax.likelihoods.event import EventLayer
from vae_jax.types import Array

LOG_SCALE_RANGE = (-8.0, 3.0)  # scale of a logistic; 3e-4 is a tenth of a bin of 256
START = -2.0  # log-scale for features of zero: nearly uniform mass over the levels
LOG_COUNT_RANGE = (-7.0, 7.0)  # range of alpha and beta of a beta-binomial


class DiscretizedLogistic(GridLikelihood):
    """One discretized logistic per dimension, with predicted location and scale.

    Values are k / (levels - 1) in [0, 1]. The location is any number, the outputs plus 1/2. The
    scale is from exp(-8) = 3e-4 to exp(3) = 20, in the units of x; at outputs of 0 it is 0.13.
    """

    @nn.compact
    def __call__(self, h: Array, lead: Sequence[int] | None = None) -> Distribution:
        loc, log_scale = jnp.moveaxis(EventLayer(self.event_shape, num_params=2)(h, lead), -1, 0)
        log_scale = soft_clip(START + log_scale, *LOG_SCALE_RANGE)
        return distributions.DiscretizedLogistic(
            0.5 + loc, log_scale, self.levels, len(self.event_shape)
        )


class DiscretizedLogisticMixture(GridLikelihood):
    """A mixture of discretized logistics (Salimans et al., 2017, arXiv:1701.05517).

    Color images [H, W, 3] have one mixture per pixel, with the later channels of a component linear
    in earlier channels; other events have one per dimension. All parameters are predicted. The
    components start at locations spread over [0, 1]. Scales are in (3e-4, 20) and the linear
    coefficients in (-1, 1).
    """

    components: int = 10

    @nn.compact
    def __call__(self, h: Array, lead: Sequence[int] | None = None) -> Distribution:
        event = tuple(self.event_shape)
        m = self.components
        start = (jnp.arange(m, dtype=jnp.float32) + 0.5) / m
        if len(event) == 3 and event[-1] == 3:
            numbers = EventLayer((*event[:2], 1), num_params=10 * m)(h, lead)[..., 0, :]
            logits, rest = numbers[..., :m], numbers[..., m:].reshape(*numbers.shape[:-1], 3, 3, m)
            loc, log_scale, coefficients = jnp.moveaxis(rest, -3, 0)
            log_scale = soft_clip(START + log_scale, *LOG_SCALE_RANGE)
            return distributions.ColorLogisticMixture(
                jnp.broadcast_to(start, loc.shape) + loc,
                log_scale,
                jnp.tanh(coefficients),
                logits,
                self.levels,
            )
        numbers = EventLayer(event, num_params=3 * m)(h, lead)
        loc, log_scale, logits = jnp.split(numbers, 3, axis=-1)
        log_scale = soft_clip(START + log_scale, *LOG_SCALE_RANGE)
        return distributions.DiscretizedLogisticMixture(
            jnp.broadcast_to(start, loc.shape) + loc, log_scale, logits, self.levels, len(event)
        )


class Categorical(GridLikelihood):
    """A softmax over the levels of each dimension: any histogram, with `levels` outputs each."""

    @nn.compact
    def __call__(self, h: Array, lead: Sequence[int] | None = None) -> Distribution:
        logits = EventLayer(self.event_shape, num_params=self.levels)(h, lead)
        return distributions.GridCategorical(logits, len(self.event_shape))


class BetaBinomial(GridLikelihood):
    """A beta-binomial per dimension with predicted alpha and beta; uniform at first.

    Values are k / (levels - 1) in [0, 1]. alpha and beta are from exp(-7) = 9e-4 to exp(7) = 1,097,
    both 1 at outputs of 0. So p, at a mean of 1/2, has a standard deviation of at least 0.011.
    """

    @nn.compact
    def __call__(self, h: Array, lead: Sequence[int] | None = None) -> Distribution:
        logs = soft_clip(EventLayer(self.event_shape, num_params=2)(h, lead), *LOG_COUNT_RANGE)
        return distributions.BetaBinomial(
            logs[..., 0], logs[..., 1], self.levels, len(self.event_shape)
        )
