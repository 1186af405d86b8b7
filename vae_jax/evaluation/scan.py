"""Map a function of batches over all examples of a source, in one compiled program."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from vae_jax.data import Source
from vae_jax.data.order import padded_batches
from vae_jax.types import Array, Batch, Params


def over_batches(
    one_batch: Callable[[Params, Batch, Array], Any], *, batch_size: int, mesh: Mesh | None = None
) -> "OverBatches":
    """(params, source, key) -> the tree of `one_batch` over all examples: arrays [N, ...].

    Args:
      one_batch: (params, batch, key) -> a tree of arrays [B, ...]; pure.
      batch_size: examples at a time, split over the mesh if they divide evenly. The last batch is
        padded, and its padding removed from the result. The noise depends on the batch size, not on
        the number of devices.
      mesh: the mesh of devices, if several.
    """
    sharding = None
    if mesh is not None and batch_size % mesh.size == 0:
        sharding = NamedSharding(mesh, P(None, "data"))
    # Replicated, so that each process gets the terms of all examples.
    replicated = None if mesh is None else NamedSharding(mesh, P())

    @functools.partial(jax.jit, out_shardings=replicated)
    def all_batches(params: Params, source: Source, key: Array) -> Any:
        index, _ = padded_batches(source.num_examples, batch_size)
        if sharding is not None:
            index = jax.lax.with_sharding_constraint(index, sharding)

        def body(_: None, number_and_index: tuple[Array, Array]) -> tuple[None, Any]:
            number, index = number_and_index
            key_data, key_batch = jax.random.split(jax.random.fold_in(key, number))
            return None, one_batch(params, source.take(index, key_data), key_batch)

        return jax.lax.scan(body, None, (jnp.arange(len(index)), index))[1]

    return OverBatches(all_batches, batch_size)


@dataclasses.dataclass(frozen=True)
class OverBatches:
    """The function that `over_batches` returns."""

    all_batches: Any
    batch_size: int

    def __call__(self, params: Params, source: Source, key: Array) -> Any:
        """The tree over all examples, without padding."""
        num_batches = -(-source.num_examples // self.batch_size)
        index = np.arange(num_batches * self.batch_size).reshape(num_batches, self.batch_size)
        mask = index < source.num_examples
        values = jax.device_get(self.all_batches(params, source, key))
        return jax.tree.map(lambda leaf: leaf[mask], values)

    def lower(self, params: Params, source: Source, key: Array) -> Any:
        """Lower the compiled part, as the method of `jax.jit`."""
        return self.all_batches.lower(params, source, key)
