"""Likelihoods of binary values and of values in [0, 1]."""

from collections.abc import Sequence
from typing import ClassVar

from flax import linen as nn

from vae_jax import distributions
from vae_jax.distributions import Distribution
from vae_jax.likelihoods.base import Likelihood
from vae_jax.likelihoods.event import EventLayer
from vae_jax.types import Array


class Bernoulli(Likelihood):
    """p(x | z) = prod_i Bernoulli(x_i; sigmoid(logit_i)) for x in {0, 1}.

    Values in [0, 1] are accepted, without normalization.
    """

    support: ClassVar[tuple[float, float]] = (0.0, 1.0)
    binary: ClassVar[bool] = True

    @nn.compact
    def __call__(self, h: Array, lead: Sequence[int] | None = None) -> Distribution:
        logits = EventLayer(self.event_shape)(h, lead)[..., 0]
        return distributions.Bernoulli(logits, len(self.event_shape))


class ContinuousBernoulli(Likelihood):
    """A Bernoulli normalized to a density on [0, 1].

    Loaiza-Ganem and Cunningham, 2019, arXiv:1907.06845.
    """

    support: ClassVar[tuple[float, float]] = (0.0, 1.0)

    @nn.compact
    def __call__(self, h: Array, lead: Sequence[int] | None = None) -> Distribution:
        logits = EventLayer(self.event_shape)(h, lead)[..., 0]
        return distributions.ContinuousBernoulli(logits, len(self.event_shape))
