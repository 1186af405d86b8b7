"""Laplace likelihoods, by the source of the scale: absolute instead of squared errors."""

from collections.abc import Sequence
from typing import ClassVar

import jax.numpy as jnp
from flax import linen as nn

from vae_jax import distributions
from vae_jax.distributions import LOGVAR_RANGE, Distribution, soft_clip
from vae_jax.likelihoods.base import Likelihood
from vae_jax.likelihoods.event import EventLayer, bounded_param
from vae_jax.types import Array, Scalar

LOG_SCALE_RANGE = (LOGVAR_RANGE[0] / 2, LOGVAR_RANGE[1] / 2)


class Laplace(Likelihood):
    """p(x | z) = prod_i Laplace(x_i; mean_i, b) with a fixed scale b, in the units of the data."""

    scale: Scalar = 1.0
    shared_scale: ClassVar[tuple[int, ...]] = ()

    @nn.compact
    def __call__(self, h: Array, lead: Sequence[int] | None = None) -> Distribution:
        mean = EventLayer(self.event_shape)(h, lead)[..., 0]
        return distributions.Laplace(mean, jnp.log(self.scale), len(self.event_shape))


class LearnedLaplace(Likelihood):
    """Laplace(mean, b) with a learned b, the same for all x.

    `scale_shape` broadcasts against the event: () one number, (C,) one per channel, (H, W, C) one
    per pixel.
    """

    scale_shape: Sequence[int] = ()
    init_scale: Scalar = 0.5

    @property
    def shared_scale(self) -> tuple[int, ...]:  # type: ignore[override]
        """The shape of the scale."""
        return tuple(self.scale_shape)

    @nn.compact
    def __call__(self, h: Array, lead: Sequence[int] | None = None) -> Distribution:
        mean = EventLayer(self.event_shape)(h, lead)[..., 0]
        init = jnp.log(self.init_scale)
        log_scale = bounded_param(self, "log_scale", self.scale_shape, init, LOG_SCALE_RANGE)
        return distributions.Laplace(mean, log_scale, len(self.event_shape))


class PredictedLaplace(Likelihood):
    """Laplace(mean, b) with b predicted per pixel by the decoder."""

    @nn.compact
    def __call__(self, h: Array, lead: Sequence[int] | None = None) -> Distribution:
        mean, log_scale = jnp.moveaxis(EventLayer(self.event_shape, num_params=2)(h, lead), -1, 0)
        return distributions.Laplace(
            mean, soft_clip(log_scale, *LOG_SCALE_RANGE), len(self.event_shape)
        )
