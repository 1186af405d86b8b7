"""Ordered codes: a logistic variable cut by thresholds."""

from typing import ClassVar

import jax
import jax.numpy as jnp

from vae_jax.distributions.discrete import choose
from vae_jax.distributions.grid import Stacked
from vae_jax.distributions.logistic import log_one_minus_exp
from vae_jax.types import Array, pytree_dataclass, static


@pytree_dataclass
class Ordinal(Stacked):
    """Codes 0 .. K - 1 in an order: cumulative logits (McCullagh, 1980, JRSS B 42).

        P(x <= k) = sigmoid(t_k - loc), k = 0 .. K - 2

    The thresholds t_k increase by exp(log_gaps), and t_0 = -t_{K - 2}. So a larger `loc` makes
    larger codes more likely. The codes have an order and no distances, and so no mean.
    """

    loc: Array  # [*batch, *event]
    log_gaps: Array  # [..., K - 2], leading axes broadcast to [*batch, *event]
    event_ndims: int = static(1)
    has_mean: ClassVar[bool] = False

    @property
    def _span(self) -> tuple[int, ...]:
        return self.loc.shape

    @property
    def thresholds(self) -> Array:
        """t_0 .. t_{K - 2}, [..., K - 1]."""
        gaps = jnp.exp(self.log_gaps)
        first = jnp.zeros((*gaps.shape[:-1], 1), gaps.dtype)
        steps = jnp.concatenate([first, jnp.cumsum(gaps, -1)], -1)
        return steps - steps[..., -1:] / 2

    @property
    def log_masses(self) -> Array:
        """Log P(x = k) of each code k, [*batch, *event, K]."""
        # sigmoid(u) - sigmoid(l) = sigmoid(u) sigmoid(-l) (1 - exp(l - u)) is exact in both tails;
        # an open end is a factor of 1.
        distance = self.thresholds - self.loc[..., None]
        end = jnp.zeros_like(distance[..., :1])
        below = jnp.concatenate([jax.nn.log_sigmoid(distance), end], -1)
        above = jnp.concatenate([end, jax.nn.log_sigmoid(-distance)], -1)
        inside = jnp.broadcast_to(
            log_one_minus_exp(self.log_gaps), (*self.loc.shape, self.log_gaps.shape[-1])
        )
        return below + above + jnp.concatenate([end, inside, end], -1)

    @property
    def mean(self) -> Array:
        raise TypeError(
            "ordinal codes have no mean; use their center (the likeliest codes) or samples"
        )

    @property
    def center(self) -> Array:
        """The most likely code of each dimension, [*batch, *event]."""
        return jnp.argmax(self.log_masses, axis=-1).astype(self.loc.dtype)

    def sample(self, key: Array, shape: tuple[int, ...] = ()) -> Array:
        noise = jax.random.logistic(key, (*shape, *self.loc.shape), self.loc.dtype)
        latent = (self.loc + noise)[..., None]
        return (latent > self.thresholds).sum(-1).astype(self.loc.dtype)

    def log_prob_terms(self, value: Array) -> Array:
        """Log P of the nearest code, ``[..., *event]``; -inf outside 0 .. K - 1."""
        code = jnp.round(value)
        log_masses = self.log_masses
        inside = (code >= 0) & (code < log_masses.shape[-1])
        return jnp.where(inside, choose(log_masses, code), -jnp.inf)
