"""Interpolation between latent codes."""

from typing import Literal

import chex
import jax.numpy as jnp

from vae_jax.errors import check_choice, check_range
from vae_jax.types import Array

Kind = Literal["linear", "spherical"]


def interpolate(start: Array, end: Array, num_points: int, *, kind: Kind = "linear") -> Array:
    """Codes [num_points, ..., D] from `start` to `end`, each [..., D], both ends included.

    linear: (1 - t) a + t b. spherical: sin((1 - t) w) / sin w a + sin(t w) / sin w b with w the
    angle between a and b. It stays on the shell with most of the mass of a Gaussian prior (White,
    2016, arXiv:1609.04468), and is linear if w is near 0 or pi.

    >>> import jax.numpy as jnp
    >>> interpolate(jnp.zeros(2), jnp.ones(2), 3).tolist()
    [[0.0, 0.0], [0.5, 0.5], [1.0, 1.0]]
    """
    check_choice("kind", kind, ("linear", "spherical"))
    check_range("num_points", num_points, 2)
    chex.assert_equal_shape([start, end])
    t = jnp.linspace(0.0, 1.0, num_points, dtype=start.dtype).reshape(-1, *[1] * start.ndim)
    line = (1 - t) * start + t * end
    if kind == "linear":
        return line
    u = start / jnp.maximum(_norm(start), 1e-12)
    v = end / jnp.maximum(_norm(end), 1e-12)
    # The angle from |u - v| and |u + v|: an arccos would lose half the digits near 0 and pi.
    angle = 2 * jnp.arctan2(_norm(u - v), _norm(u + v))
    sine = jnp.sin(angle)
    straight = (sine < 1e-4) | (t == 0) | (t == 1)
    safe = jnp.where(straight, 1.0, sine)
    arc = jnp.sin((1 - t) * angle) / safe * start + jnp.sin(t * angle) / safe * end
    return jnp.where(straight, line, arc)


def _norm(z: Array) -> Array:
    return jnp.linalg.norm(z, axis=-1, keepdims=True)
