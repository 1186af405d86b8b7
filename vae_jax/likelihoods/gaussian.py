"""Gaussian likelihoods, by the source of sigma."""

from collections.abc import Sequence
from typing import ClassVar

import jax.numpy as jnp
from flax import linen as nn

from vae_jax import distributions
from vae_jax.distributions import LOGVAR_RANGE, Distribution, bounded_logvar
from vae_jax.likelihoods.base import Likelihood
from vae_jax.likelihoods.event import EventLayer, bounded_param
from vae_jax.types import Array, Scalar


class Gaussian(Likelihood):
    """p(x | z) = N(mean, sigma^2 I) with a fixed sigma, in the units of the data."""

    sigma: Scalar = 1.0
    shared_scale: ClassVar[tuple[int, ...]] = ()

    @nn.compact
    def __call__(self, h: Array, lead: Sequence[int] | None = None) -> Distribution:
        mean = EventLayer(self.event_shape)(h, lead)[..., 0]
        return distributions.DiagGaussian(mean, 2 * jnp.log(self.sigma), len(self.event_shape))


class LearnedGaussian(Likelihood):
    """N(mean, diag(sigma^2)) with a learned sigma, the same for all x.

    `sigma_shape` broadcasts against the event: () one number, (C,) one per channel, (H, W, C) one
    per pixel.
    """

    sigma_shape: Sequence[int] = ()
    init_sigma: Scalar = 0.5

    @property
    def shared_scale(self) -> tuple[int, ...]:  # type: ignore[override]
        """The shape of sigma."""
        return tuple(self.sigma_shape)

    @nn.compact
    def __call__(self, h: Array, lead: Sequence[int] | None = None) -> Distribution:
        mean = EventLayer(self.event_shape)(h, lead)[..., 0]
        init = 2 * jnp.log(self.init_sigma)
        logvar = bounded_param(self, "logvar", self.sigma_shape, init, LOGVAR_RANGE)
        return distributions.DiagGaussian(mean, logvar, len(self.event_shape))


class PredictedGaussian(Likelihood):
    """N(mean, diag(sigma^2)) with sigma predicted per pixel by the decoder."""

    @nn.compact
    def __call__(self, h: Array, lead: Sequence[int] | None = None) -> Distribution:
        mean, logvar = jnp.moveaxis(EventLayer(self.event_shape, num_params=2)(h, lead), -1, 0)
        return distributions.DiagGaussian(mean, bounded_logvar(logvar), len(self.event_shape))


class OptimalGaussian(Likelihood):
    """N(mean, sigma^2 I) with the batch-optimal sigma; see `distributions.OptimalGaussian`."""

    shared_scale: ClassVar[tuple[int, ...]] = ()
    batch_scale: ClassVar[bool] = True

    @nn.compact
    def __call__(self, h: Array, lead: Sequence[int] | None = None) -> Distribution:
        mean = EventLayer(self.event_shape)(h, lead)[..., 0]
        return distributions.OptimalGaussian(mean, len(self.event_shape))
