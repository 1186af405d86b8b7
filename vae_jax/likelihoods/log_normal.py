"""Log-normal likelihoods: positive numbers of any size."""

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

LOG_RANGE = (-60.0, 60.0)  # of the mean of log x; beyond it, x leaves float32
LOG_SIGMA_RANGE = (-7.0, 2.0)  # the mean of x is finite in float32


class LogNormal(Likelihood):
    """log x ~ N(mean, sigma^2) for x > 0, with a predicted mean and a learned sigma.

    sigma is the standard deviation of log x, the same for all x. `sigma_shape` broadcasts against
    the event; None means one for each dimension.
    """

    sigma_shape: Sequence[int] | None = None
    init_sigma: Scalar = 1.0
    support: ClassVar[tuple[float, float]] = (0.0, math.inf)
    positive: ClassVar[bool] = True

    @nn.compact
    def __call__(self, h: Array, lead: Sequence[int] | None = None) -> Distribution:
        loc = soft_clip(EventLayer(self.event_shape)(h, lead)[..., 0], *LOG_RANGE)
        shape = self.event_shape if self.sigma_shape is None else self.sigma_shape
        log_sigma = log_sigma_param(self, "log_sigma", shape, self.init_sigma)
        return distributions.LogNormal(loc, log_sigma, len(self.event_shape))


def log_sigma_param(head: nn.Module, name: str, shape: Sequence[int], init: Scalar = 1.0) -> Array:
    """The log of the standard deviation of log x, in the given shape.

    It is a bounded parameter of the head.
    """
    return bounded_param(head, name, shape, jnp.log(init), LOG_SIGMA_RANGE)
