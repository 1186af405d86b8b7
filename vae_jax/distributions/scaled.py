"""Distributions of standardized values, in the units of the data."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from vae_jax.distributions.base import Distribution, sum_event
from vae_jax.distributions.wrapped import Wrapped
from vae_jax.types import Array, Scalar, pytree_dataclass, static


class Affine(NamedTuple):
    """The map x = loc + scale u, by column of a table or channel of an image.

    >>> import jax.numpy as jnp
    >>> Affine((10.0,), (2.0,)).inverse(jnp.array([14.0]))
    Array([2.], dtype=float32)
    """

    loc: tuple[float, ...]  # [C], for the last axis
    scale: tuple[float, ...]  # [C], above 0

    def forward(self, u: Array) -> Array:
        """X [..., C] of u [..., C]."""
        return jnp.float32(self.loc) + jnp.float32(self.scale) * u

    def inverse(self, x: Array) -> Array:
        """U [..., C] of x [..., C]."""
        return (x - jnp.float32(self.loc)) / jnp.float32(self.scale)

    @property
    def is_identity(self) -> bool:
        """True if x = u."""
        return not any(self.loc) and all(scale == 1 for scale in self.scale)


@pytree_dataclass
class Scaled(Wrapped):
    """The distribution of x = loc + scale u, u ~ base: log p(x) = log p(u) - sum_i log scale_i.

    Densities are evaluated at u, so that they are exact in float32 whatever the units of x are.
    """

    base: Distribution  # p(x) over [*batch, *event]
    affine: Affine = static()

    @property
    def mean(self) -> Array:
        return self.affine.forward(self.base.mean)

    @property
    def center(self) -> Array:
        return self.affine.forward(self.base.center)

    def sample(self, key: Array, shape: tuple[int, ...] = ()) -> Array:
        return self.affine.forward(self.base.sample(key, shape))

    def log_prob_terms(self, value: Array) -> Array:
        return self.base.log_prob_terms(self.affine.inverse(value)) - self._log_scale

    def log_prob(self, value: Array) -> Array:
        return self.observed_log_prob(value, None)

    def observed_log_prob(self, value: Array, observed: Array | None) -> Array:
        self._assert_event(value)
        log_scale = np.broadcast_to(self._log_scale, self.event_shape)
        total: Scalar = float(log_scale.sum(dtype=np.float64))
        if observed is not None:  # exactly the total if all are observed
            total = total - sum_event(jnp.where(observed, 0, log_scale), self.event_ndims)
        return self.base.observed_log_prob(self.affine.inverse(value), observed) - total

    @property
    def _log_scale(self) -> np.ndarray:
        return np.log(np.asarray(self.affine.scale)).astype(np.float32)
