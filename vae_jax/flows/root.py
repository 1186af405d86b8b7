"""Root finding for the inverse of planar and Sylvester flows."""

import jax
import jax.numpy as jnp

from vae_jax.types import Array

BISECTIONS = 24  # the bracket begins with width 2 |c|
NEWTON_STEPS = 3


@jax.custom_jvp
def tanh_root(c: Array, y: Array) -> Array:
    """The root s of s + c tanh(s) = y, elementwise, for c > -1, where the left side is increasing.

    The root lies within |c| of y; bisection is followed by Newton steps. Differentiable to any
    order: the implicit derivative ds = (dy - tanh(s) dc) / (1 + c sech(s)^2) is a function of s
    itself.
    """
    c, y = jnp.broadcast_arrays(c, y)
    low, high = y - jnp.abs(c), y + jnp.abs(c)

    def bisect(_: int, bracket: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = bracket
        middle = (low + high) / 2
        above = middle + c * jnp.tanh(middle) > y
        return jnp.where(above, low, middle), jnp.where(above, middle, high)

    low, high = jax.lax.fori_loop(0, BISECTIONS, bisect, (low, high))
    s = (low + high) / 2
    for _ in range(NEWTON_STEPS):
        t = jnp.tanh(s)
        s = s - (s + c * t - y) / slope(c, t)
    return s


def slope(c: Array, t: Array) -> Array:
    """1 + c sech(s)^2 at t = tanh(s), elementwise."""
    return 1 + c * (1 - t) * (1 + t)


@tanh_root.defjvp
def _implicit_function(
    primals: tuple[Array, Array], tangents: tuple[Array, Array]
) -> tuple[Array, Array]:
    (c, y), (dc, dy) = primals, tangents
    s = tanh_root(c, y)
    t = jnp.tanh(s)
    return s, (dy - t * dc) / slope(c, t)
