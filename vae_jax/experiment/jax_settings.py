"""Runs mean the same whatever the settings of JAX are."""

import contextlib
from collections.abc import Callable, Iterator

import jax

from vae_jax.data.fixed_random import GENERATOR, fixed_draws
from vae_jax.experiment.launch.devices import check_devices
from vae_jax.types import T


@contextlib.contextmanager
def run_settings() -> Iterator[None]:
    """The settings of JAX under which runs are trained, loaded and measured, as a decorator too.

    32 bits, the generator threefry2x32 with partitionable draws, and broadcasting between arrays of
    different ranks. A checkpoint or a number never depends on what the environment, or a notebook,
    has set. `jax_debug_nans` and `jax_default_matmul_precision` stay as they are; the latter is
    recorded in the results.

    Raises:
      RunStopped: JAX cannot use the devices that the environment asks for.
    """
    check_devices()
    with (
        _in_32_bits(),
        fixed_draws(),
        jax.default_prng_impl(GENERATOR),
        jax.numpy_rank_promotion("allow"),
        jax.numpy_dtype_promotion("standard"),
    ):
        yield


def carry_settings(function: Callable[[], T]) -> Callable[[], T]:
    """The function under `run_settings`, and those that they leave as they are in this thread.

    Settings of JAX that a context has changed are those of one thread.
    """
    nans, precision = jax.config.jax_debug_nans, jax.config.jax_default_matmul_precision
    device = jax.config.jax_default_device

    def carried() -> T:
        with (
            run_settings(),
            jax.debug_nans(nans),
            jax.default_matmul_precision(precision),
            jax.default_device(device),
        ):
            return function()

    return carried


def _in_32_bits() -> contextlib.AbstractContextManager:
    if hasattr(jax, "enable_x64"):
        return jax.enable_x64(False)
    from jax.experimental import disable_x64  # jax before 0.8

    return disable_x64()
