"""How a raw output becomes a log-variance that stays finite."""

import jax
import jax.numpy as jnp

from vae_jax.distributions import LOGVAR_RANGE, soft_clip
from vae_jax.types import Array


def bounded_logvar(raw: Array) -> Array:
    """The identity between -14 and 8, smoothly bounded there: standard deviations stay in (9e-4, 55)."""
    return soft_clip(raw, *LOGVAR_RANGE)


def softplus_logvar(raw: Array) -> Array:
    """log-variance of a standard deviation softplus(raw) + 1e-3, which grows linearly instead of exponentially."""
    return 2 * jnp.log(jax.nn.softplus(raw) + 1e-3)
