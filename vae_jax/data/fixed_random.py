"""Draws that are part of the data: the same bits whatever the settings of JAX are.

The generator of a key and the layout of its draws are global settings of JAX
(`jax_default_prng_impl`, `jax_threefry_partitionable`). A test set that is binarized at random has
a hash that results record, so neither may change it.
"""

import contextlib

import jax

from vae_jax.types import Array

GENERATOR = "threefry2x32"


def fixed_key(seed: int) -> Array:
    """The key [] of a seed, for the generator of this library whatever the default is."""
    return jax.random.key(seed, impl=GENERATOR)


def fixed_draws() -> contextlib.AbstractContextManager:
    """Within this context, draws of a key do not depend on `jax_threefry_partitionable`."""
    return jax.threefry_partitionable(True)
