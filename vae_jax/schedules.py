"""Hyper-parameter schedules: functions of the step, constant after their last step.

Values and lengths may be traced scalars, as in a sweep; optax's schedules reject traced lengths.

>>> from vae_jax import schedules
>>> beta = schedules.linear(0.0, 4.0, num_steps=100)
>>> float(beta(50)), float(beta(1000))
(2.0, 4.0)
"""

import math

import jax.numpy as jnp
import optax
from jax.nn import sigmoid as logistic

from vae_jax.types import Array, Scalar, Schedule

constant = optax.constant_schedule


def _fraction(step: Array, num_steps: Scalar) -> Array:
    return jnp.clip(step / jnp.maximum(num_steps, 1), 0.0, 1.0).astype(jnp.float32)


def linear(start: Scalar, end: Scalar, num_steps: Scalar) -> Schedule:
    """Step [] -> value []: linear from `start` at step 0 to `end` at `num_steps`, then `end`."""
    return lambda step: start + (end - start) * _fraction(step, num_steps)


def cosine(start: Scalar, num_steps: Scalar) -> Schedule:
    """Step [] -> value []: half a cosine from `start` at step 0 to 0 at `num_steps`.

    Loshchilov and Hutter, 2017, arXiv:1608.03983.
    """
    return lambda step: start * 0.5 * (1 + jnp.cos(jnp.pi * _fraction(step, num_steps)))


def warmup(schedule: Schedule, peak: Scalar, num_steps: Scalar) -> Schedule:
    """Step [] -> value []: linear from 0 to `peak` over `num_steps`, then `schedule` from 0."""
    return optax.join_schedules([linear(0.0, peak, num_steps), schedule], [num_steps])


def sigmoid(start: Scalar, end: Scalar, num_steps: Scalar, *, steepness: float = 12.0) -> Schedule:
    """Step [] -> value []: an S-shaped ramp from `start` at step 0 to `end` at `num_steps`.

    Bowman et al., 2016, arXiv:1511.06349. A logistic curve over `steepness` units, rescaled to meet
    both ends exactly.
    """
    low = 1 / (1 + math.exp(steepness / 2))

    def schedule(step: Array) -> Array:
        rise = (logistic(steepness * (_fraction(step, num_steps) - 0.5)) - low) / (1 - 2 * low)
        return start + (end - start) * rise

    return schedule


def cyclical(
    start: Scalar, end: Scalar, num_steps: Scalar, *, num_cycles: int = 4, ramp: float = 0.5
) -> Schedule:
    """Step [] -> value []: `num_cycles` equal cycles, each a linear rise and then `end`.

    The rise takes the fraction `ramp` of a cycle. The value stays at `end` from `num_steps` on. Fu
    et al., 2019, arXiv:1903.10145.
    """

    def schedule(step: Array) -> Array:
        # The remainder in integers: otherwise a cycle may start a step late.
        position = (jnp.mod(step * num_cycles, num_steps) / num_steps).astype(jnp.float32)
        rise = jnp.where(step < num_steps, jnp.minimum(position / ramp, 1.0), 1.0)
        return start + (end - start) * rise

    return schedule
