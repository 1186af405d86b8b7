"""What all models share: how y becomes a condition."""

from typing import Any

import chex
from jax.numpy import broadcast_shapes

from vae_jax.types import Array


def condition(model: Any, y: Array | None, lead: tuple[int, ...]) -> Array | None:
    """The condition c [..., C] of y for a model with `conditioning`, None for one without.

    The shape of the y's, [...], must broadcast to `lead`.

    Raises:
      ValueError: a conditional model without y, or y for one that isn't.
    """
    if model.conditioning is None:
        if y is not None:
            raise ValueError(
                "y was given to a model without conditioning, which would ignore it; leave y out"
            )
        return None
    if y is None:
        if not model.is_initializing():
            raise ValueError("a conditional model needs y [B] or [B, C]: what to condition on")
        y = model.conditioning.example(lead[-1])
    c = model.conditioning(y)
    chex.assert_equal(broadcast_shapes(c.shape[:-1], lead), tuple(lead))
    return c
