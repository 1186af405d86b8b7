"""Vectors of independent blocks."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from vae_jax.distributions.base import Distribution
from vae_jax.types import Array, pytree_dataclass


@pytree_dataclass
class SideBySide(Distribution):
    """p(z) = prod_l p_l(z_l) over vectors, with the blocks z_l side by side.

    A block may be of any distribution, such as a mixture, whose entries depend on each other.
    """

    parts: tuple[Distribution, ...]  # each over [*batch, its block]; batch axes may be missing
    event_ndims = 1
    factorized = False

    @property
    def event_shape(self) -> tuple[int, ...]:
        return (sum(part.event_shape[0] for part in self.parts),)

    @property
    def batch_shape(self) -> tuple[int, ...]:
        return max((part.batch_shape for part in self.parts), key=len)

    @property
    def mean(self) -> Array:
        return self._concatenate([part.mean for part in self.parts])

    def sample(self, key: Array, shape: tuple[int, ...] = ()) -> Array:
        keys, num_axes = jax.random.split(key, len(self.parts)), len(self.batch_shape)
        missing = [self.batch_shape[: num_axes - len(part.batch_shape)] for part in self.parts]
        draws = zip(self.parts, keys, missing, strict=True)
        return self._concatenate([part.sample(k, (*shape, *axes)) for part, k, axes in draws])

    def log_prob(self, value: Array) -> Array:
        return functools.reduce(jnp.add, self.block_log_probs(value))

    def block_log_probs(self, value: Array) -> list[Array]:
        """The log-density of each block of a value [..., D], each [...]."""
        self._assert_event(value)
        edges = np.cumsum([part.event_shape[0] for part in self.parts])[:-1]
        blocks = jnp.split(value, edges, axis=-1)
        return [part.log_prob(block) for part, block in zip(self.parts, blocks, strict=True)]

    def _concatenate(self, arrays: list[Array]) -> Array:
        lead = max((array.shape[:-1] for array in arrays), key=len)
        full = [jnp.broadcast_to(array, (*lead, array.shape[-1])) for array in arrays]
        return jnp.concatenate(full, axis=-1)
