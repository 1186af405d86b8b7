"""Functions of all rows given to a trained model, in constant memory besides the rows.

Rows are computed in blocks of a fixed size. The noise of a block depends on its number alone, so
that the results for a file don't depend on the parts in which it is read.
"""

import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vae_jax.evaluation.progress import track
from vae_jax.evaluation.scan import full_float32
from vae_jax.models.base import Model
from vae_jax.nets.attributes import read_attribute
from vae_jax.types import Array, Batch, Params

BLOCK_VALUES = 2**17  # approximate number of values of x in a block
BLOCK_ROWS = (8, 256)  # smallest and largest block
CALL_BLOCKS = 32  # blocks of one compiled call


def block_rows(event_shape: tuple[int, ...]) -> int:
    """The rows of a block: a power of two, fewer for larger events."""
    smallest, largest = BLOCK_ROWS
    fitting = max(1, BLOCK_VALUES // math.prod(event_shape))
    return min(largest, max(smallest, 2 ** (fitting.bit_length() - 1)))


def over_blocks(
    function: Callable[..., Any],
    model: Model,
    params: Params,
    batch: Batch,
    key: Array,
    *,
    first_block: int = 0,
    **options: Any,
) -> Any:
    """The tree of arrays [B, ...] of a function of a batch of any size.

    Args:
      function: (model, params, batch, key, **options) -> a tree of arrays [rows of a block, ...].
      model: see `vae_jax.models.base`.
      params: its parameters.
      batch: arrays [B, ...], with x.
      key: PRNG key of block 0; block b uses ``fold_in(key, b)``.
      first_block: number of the block with the first row; a multiple of `block_rows` rows precedes.
      **options: static arguments of the function.
    """
    num_rows = batch["x"].shape[0]
    size = block_rows(batch["x"].shape[1:])
    if read_attribute(model.likelihood, "batch_scale"):
        size = min(size, num_rows)  # copies in the last block would change its scale
    num_blocks = -(-num_rows // size)
    blocks = jax.tree.map(lambda rows: _in_blocks(rows, num_blocks, size), dict(batch))
    numbers = np.arange(num_blocks) + first_block
    run = functools.partial(_run, (function, model, tuple(options.items())), params)
    is_traced = any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves((batch, key)))
    if is_traced or num_blocks <= CALL_BLOCKS:
        return _join([run(blocks, key, numbers)], num_rows)
    calls = [slice(i, i + CALL_BLOCKS) for i in range(0, num_blocks, CALL_BLOCKS)]
    parts = []
    for call in track(calls, "rows", "part"):
        some = jax.tree.map(lambda rows, call=call: rows[call], blocks)
        parts.append(jax.device_get(run(some, key, numbers[call])))
    return _join(parts, num_rows)


def _in_blocks(rows: Any, num_blocks: int, size: int) -> Any:
    """Rows [B, ...] as [num_blocks, size, ...]; copies of the last row fill up the last block."""
    missing = num_blocks * size - rows.shape[0]
    pad = jnp.pad if isinstance(rows, jax.core.Tracer) else np.pad
    rows = pad(rows, [(0, missing)] + [(0, 0)] * (rows.ndim - 1), mode="edge") if missing else rows
    return rows.reshape(num_blocks, size, *rows.shape[1:])


def _join(parts: list[Any], num_rows: int) -> Any:
    """Trees of arrays [blocks, rows, ...] of several calls as one of [B, ...]."""

    def rows(*leaves: Any) -> Any:
        joined = leaves[0] if len(leaves) == 1 else np.concatenate(leaves)
        return joined.reshape(-1, *joined.shape[2:])[:num_rows]

    return jax.tree.map(rows, *parts)


def _run(what: tuple[Any, ...], *arguments: Any) -> Any:
    try:
        hash(what)
    except TypeError:  # a field of the model holds a list
        return _compile.__wrapped__(*what)(*arguments)
    return _compile(*what)(*arguments)


@functools.lru_cache(maxsize=16)
def _compile(
    function: Callable[..., Any], model: Model, options: tuple[tuple[str, Any], ...]
) -> Any:
    @jax.jit
    @full_float32
    def run(params: Params, blocks: Batch, key: Array, numbers: Array) -> Any:
        def one_block(batch_and_number: tuple[Batch, Array]) -> Any:
            batch, number = batch_and_number
            return function(model, params, batch, jax.random.fold_in(key, number), **dict(options))

        return jax.lax.map(one_block, (blocks, numbers))

    return run
