"""Schedules of a hyper-parameter: functions of the step, constant after their last one.

The straight ones are optax's; the rest of the field's stand here.
"""

import math

import jax.numpy as jnp
import optax
from jax.nn import sigmoid as logistic

from vae_jax.types import Array, Schedule

constant = optax.constant_schedule
linear = optax.linear_schedule


def sigmoid(start: float, end: float, num_steps: int, *, steepness: float = 12.0) -> Schedule:
    """An S-shaped ramp from `start` at step 0 to `end` at `num_steps` (Bowman et al., 2016, arXiv:1511.06349).

    A logistic curve over `steepness` of its units, stretched so that it meets both ends exactly.
    """
    low = 1 / (1 + math.exp(steepness / 2))

    def schedule(step: Array) -> Array:
        fraction = jnp.clip(step / num_steps, 0.0, 1.0)
        rise = (logistic(steepness * (fraction - 0.5)) - low) / (1 - 2 * low)
        return start + (end - start) * rise

    return schedule


def cyclical(start: float, end: float, num_steps: int, *, num_cycles: int = 4, ramp: float = 0.5) -> Schedule:
    """`num_cycles` equal cycles, each a linear rise over its first part `ramp` and then `end`; `end` from `num_steps` on.

    Fu et al., 2019, arXiv:1903.10145.
    """

    def schedule(step: Array) -> Array:
        position = jnp.mod(step * num_cycles, num_steps) / num_steps  # in whole numbers, or a cycle may start a step late
        rise = jnp.where(step < num_steps, jnp.minimum(position / ramp, 1.0), 1.0)
        return start + (end - start) * rise

    return schedule
