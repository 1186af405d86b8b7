"""Likelihoods of unbounded counts 0, 1, 2, ..."""

import math
from collections.abc import Sequence
from typing import ClassVar

import jax.numpy as jnp
from flax import linen as nn

from vae_jax import distributions
from vae_jax.distributions import Distribution, soft_clip
from vae_jax.likelihoods.base import Likelihood
from vae_jax.likelihoods.event import EventLayer, bounded_param
from vae_jax.types import Array, Scalar

LOG_MEAN_RANGE = (-10.0, 17.0)  # up to the largest count in float32
LOG_INVERSE_DISPERSION_RANGE = (-7.0, 10.0)  # nearly Poisson at the upper end


class NegativeBinomial(Likelihood):
    """Negative binomial with a predicted mean and a learned inverse dispersion r.

    r is the same for all x. `dispersion_shape` broadcasts against the event; None means one per
    dimension. The variance is mean + mean^2 / r.
    """

    dispersion_shape: Sequence[int] | None = None
    init_inverse_dispersion: Scalar = 1.0
    support: ClassVar[tuple[float, float]] = (0.0, math.inf)
    integers: ClassVar[bool] = True

    @nn.compact
    def __call__(self, h: Array, lead: Sequence[int] | None = None) -> Distribution:
        log_mean = soft_clip(EventLayer(self.event_shape)(h, lead)[..., 0], *LOG_MEAN_RANGE)
        shape = self.event_shape if self.dispersion_shape is None else self.dispersion_shape
        log_r = log_inverse_dispersion_param(self, tuple(shape), self.init_inverse_dispersion)
        return distributions.NegativeBinomial(log_mean, log_r, len(self.event_shape))


class Poisson(Likelihood):
    """Poisson counts with a predicted mean, which is also the variance."""

    support: ClassVar[tuple[float, float]] = (0.0, math.inf)
    integers: ClassVar[bool] = True

    @nn.compact
    def __call__(self, h: Array, lead: Sequence[int] | None = None) -> Distribution:
        log_rate = soft_clip(EventLayer(self.event_shape)(h, lead)[..., 0], *LOG_MEAN_RANGE)
        return distributions.Poisson(log_rate, len(self.event_shape))


class ZeroInflatedNegativeBinomial(Likelihood):
    """Counts with more zeros than a negative binomial has: predicted mean and probability of zero.

    The mean is that of the negative binomial, without the added zeros. The inverse dispersion is
    learned, the same for all x; shape and start as in `NegativeBinomial` (Risso et al., 2018,
    ZINB-WaVE; Lopez et al., 2018, scVI).
    """

    dispersion_shape: Sequence[int] | None = None
    init_inverse_dispersion: Scalar = 1.0
    support: ClassVar[tuple[float, float]] = (0.0, math.inf)
    integers: ClassVar[bool] = True

    @nn.compact
    def __call__(self, h: Array, lead: Sequence[int] | None = None) -> Distribution:
        log_mean, gate = jnp.moveaxis(EventLayer(self.event_shape, num_params=2)(h, lead), -1, 0)
        shape = self.event_shape if self.dispersion_shape is None else self.dispersion_shape
        log_r = log_inverse_dispersion_param(self, tuple(shape), self.init_inverse_dispersion)
        return distributions.ZeroInflatedNegativeBinomial(
            soft_clip(log_mean, *LOG_MEAN_RANGE), log_r, gate, len(self.event_shape)
        )


def log_inverse_dispersion_param(
    head: nn.Module,
    shape: tuple[int, ...],
    init: Scalar = 1.0,
    name: str = "log_inverse_dispersion",
) -> Array:
    """Log r of the inverse dispersion r, a bounded parameter of the head, in the given shape."""
    return bounded_param(head, name, shape, jnp.log(init), LOG_INVERSE_DISPERSION_RANGE)
