"""Likelihood heads: features h [N, ...] -> p(x | z), a distribution over [*lead, *E] with N = prod(lead).

The head holds the last linear map, from features to the parameters of each dimension: taken in the dtype of the features,
while the distribution is float32 whatever it is. `support` is the range of values that its density is defined on; `binary`
says that only the two ends of it have mass.
"""

import math
from collections.abc import Sequence
from typing import ClassVar

import chex
import jax.numpy as jnp
from flax import linen as nn

from vae_jax import distributions
from vae_jax.distributions import LOGVAR_RANGE, Distribution, inverse_soft_clip, soft_clip
from vae_jax.errors import InputError
from vae_jax.nets.conv import doubled, halved
from vae_jax.nets.convolution import Conv
from vae_jax.nets.dense import Dense
from vae_jax.types import Array, Scalar

REALS = (-math.inf, math.inf)


class EventLayer(nn.Module):
    """Features to `num_params` numbers per dimension of the event: ``[N, ...] -> [*lead, *E, num_params]``.

    A feature map at the size of the image goes through a 1x1 convolution, one at half the size through a 4x4 stride-2
    transposed convolution, a vector through a dense layer. InputError for a map of another size.
    """

    event_shape: Sequence[int]
    num_params: int = 1

    @nn.compact
    def __call__(self, h: Array, lead: Sequence[int] | None = None) -> Array:
        lead = h.shape[:1] if lead is None else tuple(lead)
        chex.assert_axis_dimension(h, 0, math.prod(lead))
        event = tuple(self.event_shape)
        features = event[-1] * self.num_params
        is_map = h.ndim == 4 and len(event) == 3
        if is_map and h.shape[1:3] == event[:2]:
            out = Conv(features, kernel_size=1, dtype=h.dtype, wide=True, name="out")(h)
        elif is_map and h.shape[1:3] == halved(event[:2], 1):
            out = doubled(h, features, event[:2], wide=True, name="out")
        elif is_map:
            raise InputError(f"features of size {h.shape[1:3]}: must be {event[:2]} or half of it, for events {event}")
        else:
            size = math.prod(event) * self.num_params
            out = Dense(size, dtype=h.dtype, wide=True, name="out")(h.reshape(h.shape[0], -1))
        return out.reshape(*lead, *event, self.num_params)


class Bernoulli(nn.Module):
    """p(x | z) = prod_i Bernoulli(x_i; sigmoid(logit_i)), for x in {0, 1}, or [0, 1] without being normalised there."""

    event_shape: Sequence[int]
    support: ClassVar[tuple[float, float]] = (0.0, 1.0)
    binary: ClassVar[bool] = True

    @nn.compact
    def __call__(self, h: Array, lead: Sequence[int] | None = None) -> Distribution:
        logits = EventLayer(self.event_shape)(h, lead)[..., 0]
        return distributions.Bernoulli(logits, len(self.event_shape))


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
