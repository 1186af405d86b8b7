"""Gradient ascent in latent space, near the data."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from vae_jax.errors import check_range
from vae_jax.types import Array, Scalar


class Ascent(NamedTuple):
    """Codes after gradient ascent, and the way there."""

    z: Array  # [M, D], the best code of each path
    objective: Array  # [S + 1, M], of the start and after each step


def ascend(
    predict: Callable[[Array], Array],
    z: Array,
    *,
    num_steps: int,
    step_size: Scalar,
    log_density: Callable[[Array], Array] | None = None,
    weight: Scalar = 0.0,
    max_distance: Scalar | None = None,
) -> Ascent:
    """Climb the prediction from codes z [M, D], with a reward for staying near the data.

        J(z) = prediction(z) + weight log p(z)
        z   <- P(z + step_size (1 - s / S) grad J(z) / |grad J(z)|),    s = 0, ..., S - 1

    Steps are shorter and shorter, and as long for any unit of the prediction. P projects to the
    ball of radius `max_distance` around the start. Each path returns the best of its codes by J, so
    J never falls below that of the start. Paths don't depend on each other. Such an ascent is in
    Gómez-Bombarelli et al., 2018, doi:10.1021/acscentsci.7b00572.

    Args:
      predict: z [M, D] -> predictions [M], each a function of its own code alone.
      z: starting codes, [M, D].
      num_steps: S.
      step_size: length of the first step, in the unit of z.
      log_density: log p(z), [M, D] -> [M], nats.
      weight: of log p(z), in the unit of the prediction; 0 climbs the prediction alone.
      max_distance: from the start, in the unit of z; None means no limit.
    """
    check_range("num_steps", num_steps, 1)
    start = z

    def objective(z: Array) -> Array:
        reward = 0.0 if log_density is None else weight * log_density(z)
        return predict(z) + reward

    def value_and_direction(z: Array) -> tuple[Array, Array]:
        values, pull = jax.vjp(objective, z)
        slope = pull(jnp.ones_like(values))[0]
        length = jnp.linalg.norm(slope, axis=-1, keepdims=True)
        return values, slope / jnp.maximum(length, 1e-30)

    def project(z: Array) -> Array:
        if max_distance is None:
            return z
        moved = z - start
        length = jnp.linalg.norm(moved, axis=-1, keepdims=True)
        return start + moved * jnp.minimum(1.0, max_distance / jnp.maximum(length, 1e-12))

    Carry = tuple[Array, Array, Array, Array]

    def step(carry: Carry, left: Array) -> tuple[Carry, Array]:
        z, direction, best, best_value = carry
        z = project(z + step_size * left * direction)
        value, direction = value_and_direction(z)
        is_better = value > best_value  # False for NaN
        best = jnp.where(is_better[:, None], z, best)
        return (z, direction, best, jnp.where(is_better, value, best_value)), value

    value, direction = value_and_direction(z)
    left = 1 - jnp.arange(num_steps, dtype=z.dtype) / num_steps
    (_, _, best, _), values = jax.lax.scan(step, (z, direction, z, value), left)
    return Ascent(best, jnp.concatenate([value[None], values]))
