"""Tokens as arrays: ids and logits.

Id 0 is padding, id 1 the end of a sequence, 2 .. V - 1 the tokens of an alphabet. A network that
predicts the next token is given V as the start symbol, and 0 in place of a token that was dropped.
"""

from typing import Any

import jax.numpy as jnp
from flax import linen as nn

from vae_jax.nets.dense import Dense
from vae_jax.types import Array

EXCLUDED = -1e9  # the logit of padding: probability exactly 0, and finite gradients


def token_ids(x: Array) -> Array:
    """Ids [...] int32 of x [...] float32; all but positive numbers, such as NaN, are padding."""
    return jnp.where(x > 0, x, 0).astype(jnp.int32)


def shift_right(tokens: Array, start: int) -> Array:
    """Tokens [N, L] with the start symbol before them and without the last."""
    return jnp.pad(tokens[:, :-1], ((0, 0), (1, 0)), constant_values=start)


def embedding_table(module: nn.Module, num_rows: int, size: int) -> Array:
    """The parameter "embedding" [num_rows, size] of a module, from N(0, 1)."""
    init = nn.initializers.normal(1.0)
    return module.param("embedding", init, (num_rows, size), jnp.float32)


class TokenLogits(nn.Module):
    """Logits [..., V] in float32 of features [..., F]; that of padding is `EXCLUDED`."""

    num_tokens: int
    dtype: Any = None

    @nn.compact
    def __call__(self, h: Array) -> Array:
        logits = Dense(self.num_tokens, dtype=self.dtype, wide=True, name="affine")(h)
        padding = jnp.arange(self.num_tokens).reshape(*(1,) * (h.ndim - 1), -1) == 0
        return jnp.where(padding, EXCLUDED, logits)
