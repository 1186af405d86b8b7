"""Base class of distributions that are made from another distribution."""

import dataclasses

from vae_jax.distributions.base import Distribution
from vae_jax.types import Scalar


class Wrapped(Distribution):
    """A distribution with the shape of `base`, which is the first field of a subclass.

    A subclass defines `sample`, `center` and `log_prob`, and what of the rest differs.
    """

    base: Distribution

    @property
    def event_ndims(self) -> int:
        return self.base.event_ndims

    @property
    def event_shape(self) -> tuple[int, ...]:
        return self.base.event_shape

    @property
    def batch_shape(self) -> tuple[int, ...]:
        return self.base.batch_shape

    @property
    def has_mean(self) -> bool:  # type: ignore[override]
        return self.base.has_mean

    @property
    def factorized(self) -> bool:  # type: ignore[override]
        return self.base.factorized

    def _narrow(self, temperature: Scalar) -> "Wrapped":
        return dataclasses.replace(self, base=self.base.with_temperature(temperature))
