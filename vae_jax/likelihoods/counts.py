"""Likelihoods of counts 0, 1, 2, ... without a largest one."""

import math
from collections.abc import Sequence
from typing import ClassVar

import jax.numpy as jnp
from flax import linen as nn

from vae_jax import distributions
from vae_jax.distributions import Distribution, inverse_soft_clip, soft_clip
from vae_jax.likelihoods.event import EventLayer, Likelihood
from vae_jax.types import Array, Scalar

LOG_MEAN_RANGE = (-10.0, 17.0)  # to the largest count that float32 holds
LOG_INVERSE_DISPERSION_RANGE = (-7.0, 10.0)  # at the upper end all but a Poisson


class NegativeBinomial(Likelihood):
    """Negative binomial with a predicted mean, its inverse dispersion r a parameter, the same for all x.

    `dispersion_shape` broadcasts against the event; None is one for each dimension. The variance is mean + mean^2 / r.
    """

    dispersion_shape: Sequence[int] | None = None
    init_inverse_dispersion: Scalar = 1.0
    support: ClassVar[tuple[float, float]] = (0.0, math.inf)
    integers: ClassVar[bool] = True

    @nn.compact
    def __call__(self, h: Array, lead: Sequence[int] | None = None) -> Distribution:
        log_mean = soft_clip(EventLayer(self.event_shape)(h, lead)[..., 0], *LOG_MEAN_RANGE)
        shape = self.event_shape if self.dispersion_shape is None else self.dispersion_shape
        log_r = learned_log_inverse_dispersion(self, tuple(shape), self.init_inverse_dispersion)
        return distributions.NegativeBinomial(log_mean, log_r, len(self.event_shape))


class PredictedNegativeBinomial(Likelihood):
    """Negative binomial with both its mean and its inverse dispersion predicted by the decoder."""

    support: ClassVar[tuple[float, float]] = (0.0, math.inf)
    integers: ClassVar[bool] = True

    @nn.compact
    def __call__(self, h: Array, lead: Sequence[int] | None = None) -> Distribution:
        log_mean, log_r = jnp.moveaxis(EventLayer(self.event_shape, num_params=2)(h, lead), -1, 0)
        log_mean, log_r = (
            soft_clip(log_mean, *LOG_MEAN_RANGE),
            soft_clip(log_r, *LOG_INVERSE_DISPERSION_RANGE),
        )
        return distributions.NegativeBinomial(log_mean, log_r, len(self.event_shape))


def learned_log_inverse_dispersion(
    head: nn.Module, shape: tuple[int, ...], init: Scalar = 1.0
) -> Array:
    """A bounded parameter of the head."""
    init_fn = nn.initializers.constant(
        inverse_soft_clip(jnp.log(init), *LOG_INVERSE_DISPERSION_RANGE)
    )
    return soft_clip(
        head.param("log_inverse_dispersion", init_fn, shape), *LOG_INVERSE_DISPERSION_RANGE
    )
