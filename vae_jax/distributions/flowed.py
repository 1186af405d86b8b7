"""Distributions transformed by an invertible map."""

from typing import Any, ClassVar

from vae_jax.distributions.base import Distribution
from vae_jax.distributions.wrapped import Wrapped
from vae_jax.types import Array, pytree_dataclass


@pytree_dataclass
class Flowed(Wrapped):
    """The distribution of z = f(z0), z0 ~ base: log p(z) = log p0(z0) - log |det df/dz0|.

    Sampling with its density needs only the forward map; the density of another value needs the
    inverse. It has no closed-form mean: `center` is f at the center of the base. `with_temperature`
    narrows the base.
    """

    base: Distribution  # distribution of vectors
    flow: Any  # a pytree with `forward` and `inverse`, see `vae_jax.flows`
    has_mean: ClassVar[bool] = False
    factorized: ClassVar[bool] = False

    @property
    def mean(self) -> Array:
        raise TypeError(
            "a distribution with a flow has no mean in closed form; use its center or samples"
        )

    @property
    def center(self) -> Array:
        return self.flow.forward(self.base.center)[0]

    def sample(self, key: Array, shape: tuple[int, ...] = ()) -> Array:
        return self.flow.forward(self.base.sample(key, shape))[0]

    def sample_and_log_prob(self, key: Array, shape: tuple[int, ...] = ()) -> tuple[Array, Array]:
        z0, log_p0 = self.base.sample_and_log_prob(key, shape)
        z, log_det = self.flow.forward(z0)
        return z, log_p0 - log_det

    def log_prob(self, value: Array) -> Array:
        self._assert_event(value)
        z0, log_det = self.flow.inverse(value)
        return self.base.log_prob(z0) + log_det
