"""The order of the data as a pure function of (seed, step), without state to save or restore.

Batches are consecutive stretches of an endless list: epoch after epoch, each a permutation of all
examples. A batch may begin in one epoch and end in the next; every example comes exactly once per
epoch.
"""

import jax
import jax.numpy as jnp
import numpy as np

from vae_jax.distributions.base import allow_broadcasting
from vae_jax.errors import check_range
from vae_jax.types import Array

WINDOW = 32  # batches whose examples are sorted by length
ROUNDS = 64  # swap-or-not needs some multiple of log2(n); 64 serves n up to billions


def _hash(x: Array) -> Array:
    """A bijective mix of uint32 in which each input bit affects each output bit.

    The finalizer of MurmurHash3.
    """
    x = (x ^ (x >> 16)) * jnp.uint32(0x85EBCA6B)
    x = (x ^ (x >> 13)) * jnp.uint32(0xC2B2AE35)
    return x ^ (x >> 16)


def permute(position: Array, num_examples: int, seed: Array) -> Array:
    """The element at `position` of a permutation of ``range(num_examples)``, elementwise.

    The swap-or-not shuffle (Hoang, Morris and Rogaway, 2012, arXiv:1208.1176): each round pairs x
    with (K - x) mod n for a random K and swaps the pair or not by a random bit of the pair. It
    needs no table, so any position of any epoch costs the same. `position` and `seed` are uint32
    arrays that broadcast against each other.
    """
    x = jnp.broadcast_arrays(position.astype(jnp.uint32), seed)[0]
    n = jnp.uint32(num_examples)

    def swap_or_not(r: Array, x: Array) -> Array:
        round_key = _hash(seed + r.astype(jnp.uint32) * jnp.uint32(0x9E3779B9))
        partner = (_hash(round_key) % n + n - x) % n
        bit = _hash(jnp.maximum(x, partner) ^ round_key) & 1
        return jnp.where(bit == 1, partner, x)

    return jax.lax.fori_loop(0, ROUNDS, swap_or_not, x).astype(jnp.int32)


@allow_broadcasting
def batch_index(step: Array, *, num_examples: int, batch_size: int, seed: int | Array) -> Array:
    """Indices [*step.shape, B] of the examples of one or more steps.

    Raises InputError if `num_examples` is not from 1 to 2^31 - 1.
    """
    check_range("num_examples", num_examples, 1, 2**31 - 1)
    n = jnp.uint32(num_examples)
    epoch, position = _divmod_product(step.astype(jnp.uint32), batch_size, num_examples)
    position = position[..., None] + jnp.arange(batch_size, dtype=jnp.uint32)
    epoch = epoch[..., None] + position // n
    return permute(position % n, num_examples, _hash(_hash(jnp.uint32(seed)) ^ epoch))


def _divmod_product(step: Array, batch_size: int, num_examples: int) -> tuple[Array, Array]:
    """Quotient and remainder of step * batch_size by num_examples, by binary long multiplication.

    The product overflows 32 bits after a few thousand epochs of a large data set.
    """
    n = jnp.uint32(num_examples)
    more_quotient, more_remainder = (jnp.uint32(part) for part in divmod(batch_size, num_examples))

    def carry(quotient: Array, remainder: Array) -> tuple[Array, Array]:
        return quotient + (remainder >= n), jnp.where(remainder >= n, remainder - n, remainder)

    def next_bit(i: int, state: tuple[Array, Array]) -> tuple[Array, Array]:
        bit = (step >> jnp.uint32(31 - i)) & 1
        quotient, remainder = carry(2 * state[0], 2 * state[1])
        return carry(quotient + bit * more_quotient, remainder + bit * more_remainder)

    return jax.lax.fori_loop(0, 32, next_bit, (jnp.zeros_like(step), jnp.zeros_like(step)))


@allow_broadcasting
def batch_index_by_length(
    steps: Array, *, lengths: Array, batch_size: int, seed: int | Array, window: int = WINDOW
) -> Array:
    """Indices [S, B] of the examples of consecutive steps [S], of similar lengths in each batch.

    The examples of `window` consecutive batches of `batch_index`, from a multiple of it on, are
    sorted by their `lengths` [N] and cut into batches again, in random order. Where an epoch ends
    in a window its two parts are sorted separately, so every example comes exactly once per epoch.
    """
    n = lengths.shape[0]
    steps = steps.astype(jnp.uint32)
    first = steps[0] // window
    windows = first + jnp.arange(steps.shape[0] // window + 2, dtype=jnp.uint32)
    inside = jnp.arange(window, dtype=jnp.uint32)
    rows = windows[:, None] * window + inside
    index = batch_index(rows, num_examples=n, batch_size=batch_size, seed=seed)
    epoch, position = _divmod_product(rows, batch_size, n)
    position = position[..., None] + jnp.arange(batch_size, dtype=jnp.uint32)
    epoch = epoch[..., None] + position // jnp.uint32(n)

    def sort_window(number: Array, index: Array, epoch: Array) -> Array:
        index, epoch = index.reshape(-1), epoch.reshape(-1)
        order = jnp.lexsort((lengths[index], epoch))
        index, epoch = (x[order].reshape(window, batch_size) for x in (index, epoch))
        shuffled = permute(inside, window, _hash(_hash(jnp.uint32(seed)) ^ ~number))
        # Batches of one epoch change places, and a batch of two stays between them.
        return index[jnp.lexsort((shuffled, epoch[:, -1], epoch[:, 0]))]

    index = jax.vmap(sort_window)(windows, index, epoch).reshape(-1, batch_size)
    return index[steps - first * window]


def padded_batches(num_examples: int, batch_size: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices and mask, each [T, B], that visit every example once in order.

    The last batch is padded with the first examples, which are masked.
    """
    num_batches = -(-num_examples // batch_size)
    index = np.arange(num_batches * batch_size, dtype=np.int32).reshape(num_batches, batch_size)
    return index % num_examples, index < num_examples
