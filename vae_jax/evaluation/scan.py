"""Map functions over all examples of a source, or over many draws, in constant memory."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from vae_jax.data import Reader, Source
from vae_jax.data.order import padded_batches
from vae_jax.evaluation.progress import split_steps, track
from vae_jax.types import Array, Batch, Params

T = TypeVar("T")
Tree = TypeVar("Tree")
ROWS = 256  # z decoded at a time by a batch of several draws


MATMUL_PRECISION = "highest"  # evaluations use all digits of float32, also on accelerators


def full_float32(function: Callable[..., T]) -> Callable[..., T]:
    """Compute the matrix products of a function that is compiled in full float32.

    By default accelerators round their factors to bfloat16 or TF32, which moves a bound by tenths
    of nats. It is for the function inside `jax.jit`; nothing global changes.
    """

    @functools.wraps(function)
    def precise(*args: Any, **kwargs: Any) -> T:
        with jax.default_matmul_precision(MATMUL_PRECISION):
            return function(*args, **kwargs)

    return precise


def over_batches(
    one_batch: Callable[[Params, Batch, Array], Any],
    *,
    batch_size: int,
    mesh: Mesh | None = None,
    description: str = "evaluation",
) -> "OverBatches":
    """(params, source, key) -> the tree of `one_batch` over all examples: arrays [N, ...].

    It is compiled once for a source, or for all slices of the sprites, and called for at most 100
    parts of the batches, with progress.

    Args:
      one_batch: (params, batch, key) -> a tree of arrays [B, ...]; pure.
      batch_size: examples at a time, split over the mesh if they divide evenly. The last batch is
        padded, and its padding removed from the result. The noise depends on the batch size, not on
        the number of devices.
      mesh: the mesh of devices, if several.
      description: name of the computation, for its progress.
    """
    sharding = None
    if mesh is not None and batch_size % mesh.size == 0:
        sharding = NamedSharding(mesh, P(None, "data"))
    # Replicated, so that each process gets the terms of all examples.
    replicated = None if mesh is None else NamedSharding(mesh, P())

    @functools.partial(jax.jit, out_shardings=replicated)
    @full_float32
    def some_batches(
        params: Params, source: Reader, key: Array, numbers: Array, index: Array
    ) -> Any:
        if sharding is not None:
            index = jax.lax.with_sharding_constraint(index, sharding)

        def body(_: None, number_and_index: tuple[Array, Array]) -> tuple[None, Any]:
            number, index = number_and_index
            key_data, key_batch = jax.random.split(jax.random.fold_in(key, number))
            return None, one_batch(params, source.take(index, key_data), key_batch)

        return jax.lax.scan(body, None, (numbers, index))[1]

    return OverBatches(some_batches, batch_size, description)


@dataclasses.dataclass(frozen=True)
class OverBatches:
    """The function that `over_batches` returns."""

    some_batches: Any
    batch_size: int
    description: str

    def __call__(self, params: Params, source: Source, key: Array) -> Any:
        """The tree [N, ...] over all examples, without padding."""
        params, source = jax.tree.map(_on_device, (params, source))
        calls, mask = self.plan_calls(source)
        reader = source.reader
        values = []
        for numbers, index in track(calls, self.description, "part"):
            values.append(jax.device_get(self.some_batches(params, reader, key, numbers, index)))
        # What fills up the last part is beyond the end.
        return jax.tree.map(lambda *leaves: np.concatenate(leaves)[: len(mask)][mask], *values)

    def lower(self, params: Params, source: Source, key: Array) -> Any:
        """Lower the one program that all calls share, as the method of `jax.jit`."""
        return self.some_batches.lower(*self.compiled_arguments(params, source, key))

    def compiled_arguments(self, params: Params, source: Source, key: Array) -> tuple[Any, ...]:
        """Return the arguments of the first call."""
        calls, _ = self.plan_calls(source)
        return params, source.reader, key, *calls[0]

    def plan_calls(self, source: Source) -> tuple[list[tuple[np.ndarray, np.ndarray]], np.ndarray]:
        """Numbers [P] and indices [P, B] of the batches of each call, and the mask [T, B]."""
        index, mask = padded_batches(source.num_examples, self.batch_size)
        ranges = split_steps(len(index))
        calls = []
        for part in ranges:
            # The last part is filled up with its last batch, so that one program serves all.
            numbers = np.minimum(part.start + np.arange(len(ranges[0])), part.stop - 1)
            calls.append((numbers.astype(np.int32), index[numbers]))
        return calls, mask


def _on_device(leaf: Any) -> Array:
    """The leaf as it is, or on the device if it is on the host: one transfer for all calls."""
    return leaf if isinstance(leaf, jax.Array) else jnp.asarray(leaf)


def mean_over_draws(
    some_draws: Callable[[Array, int], Tree], key: Array, *, num_samples: int, num_rows: int
) -> Tree:
    """The mean of a tree of arrays of any shape over draws, in chunks of at most `ROWS` rows.

    Memory is the same for any number of draws. All at once have the key as it is, else each part
    has its own.

    Args:
      some_draws: (key, K) -> a tree of means over K draws, of shapes that do not depend on K.
      key: PRNG key.
      num_samples: K of the result.
      num_rows: rows that one draw of the whole batch decodes.
    """
    size = draws_at_once(num_samples, num_rows)
    if size == num_samples:
        return some_draws(key, num_samples)

    def add(total: Tree, number: Array) -> tuple[Tree, None]:
        part = some_draws(jax.random.fold_in(key, number), size)
        return jax.tree.map(jnp.add, total, part), None

    count = num_samples // size
    shapes = jax.eval_shape(lambda key: some_draws(key, size), key)
    zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
    total, _ = jax.lax.scan(add, zeros, jnp.arange(count))
    return jax.tree.map(lambda leaf: leaf / count, total)


def draws_at_once(num_samples: int, num_rows: int) -> int:
    """The largest divisor of the number of draws whose draws decode at most `ROWS` rows, or 1."""
    limit = max(1, ROWS // num_rows)
    return max(size for size in range(1, min(limit, num_samples) + 1) if num_samples % size == 0)
