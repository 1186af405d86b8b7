"""Gaussian likelihoods, by where their sigma comes from."""

from collections.abc import Sequence
from typing import ClassVar

import jax.numpy as jnp
from flax import linen as nn

from vae_jax import distributions
from vae_jax.distributions import LOGVAR_RANGE, Distribution, inverse_soft_clip, soft_clip
from vae_jax.likelihoods.event import REALS, EventLayer
from vae_jax.types import Array, Scalar


class Gaussian(nn.Module):
    """p(x | z) = N(mean, sigma^2 I) with a fixed sigma, in the units of the data."""

    event_shape: Sequence[int]
    sigma: Scalar = 1.0
    support: ClassVar[tuple[float, float]] = REALS
    binary: ClassVar[bool] = False

    @nn.compact
    def __call__(self, h: Array, lead: Sequence[int] | None = None) -> Distribution:
        mean = EventLayer(self.event_shape)(h, lead)[..., 0]
        return distributions.DiagGaussian(mean, 2 * jnp.log(self.sigma), len(self.event_shape))


class LearnedGaussian(nn.Module):
    """N(mean, diag(sigma^2)) with sigma a parameter, the same for all x.

    `sigma_shape` broadcasts against the event: () one number, (C,) one per channel, (H, W, C) one per pixel.
    """

    event_shape: Sequence[int]
    sigma_shape: Sequence[int] = ()
    init_sigma: Scalar = 0.5
    support: ClassVar[tuple[float, float]] = REALS
    binary: ClassVar[bool] = False

    @nn.compact
    def __call__(self, h: Array, lead: Sequence[int] | None = None) -> Distribution:
        mean = EventLayer(self.event_shape)(h, lead)[..., 0]
        init = nn.initializers.constant(inverse_soft_clip(2 * jnp.log(self.init_sigma), *LOGVAR_RANGE))
        logvar = self.param("logvar", init, tuple(self.sigma_shape))
        return distributions.DiagGaussian(mean, soft_clip(logvar, *LOGVAR_RANGE), len(self.event_shape))


class PredictedGaussian(nn.Module):
    """N(mean, diag(sigma^2)) with a sigma for each pixel of each z, predicted by the decoder."""

    event_shape: Sequence[int]
    support: ClassVar[tuple[float, float]] = REALS
    binary: ClassVar[bool] = False

    @nn.compact
    def __call__(self, h: Array, lead: Sequence[int] | None = None) -> Distribution:
        mean, logvar = jnp.moveaxis(EventLayer(self.event_shape, num_params=2)(h, lead), -1, 0)
        return distributions.DiagGaussian(mean, soft_clip(logvar, *LOGVAR_RANGE), len(self.event_shape))


class OptimalGaussian(nn.Module):
    """N(mean, sigma^2) with the sigma that is optimal for the batch it scores; see `distributions.OptimalGaussian`."""

    event_shape: Sequence[int]
    support: ClassVar[tuple[float, float]] = REALS
    binary: ClassVar[bool] = False

    @nn.compact
    def __call__(self, h: Array, lead: Sequence[int] | None = None) -> Distribution:
        mean = EventLayer(self.event_shape)(h, lead)[..., 0]
        return distributions.OptimalGaussian(mean, len(self.event_shape))
