"""A causal network without layers, and all sequences of a small alphabet."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn


class Memory(nn.Module):
    """Logits that are the context and the discounted rows of all tokens before."""

    num_tokens: int
    discount: float = 0.6

    @nn.nowrap
    def init_params(self, key, context_features):
        keys = jax.random.split(key)
        return {
            "table": 2 * jax.random.normal(keys[0], (self.num_tokens + 1, self.num_tokens)),
            "mix": jax.random.normal(keys[1], (context_features, self.num_tokens)),
        }

    @nn.nowrap
    def _params(self, name):
        return self.scope.get_variable("params", name)

    def __call__(self, tokens, context, mask=None):
        del mask
        carry = self.start(context, tokens.shape[1])
        rows = []
        for token in [jnp.full(len(tokens), self.num_tokens), *tokens.T[:-1]]:
            carry, logits = self.step(carry, token)
            rows.append(logits)
        return jnp.stack(rows, axis=1)

    def start(self, context, length):
        del length
        return context @ self._params("mix"), jnp.zeros((), jnp.int32)

    def step(self, carry, token):
        memory, count = carry
        memory = self.discount * memory + self._params("table")[token]
        return (memory, count + 1), memory.at[:, 0].set(jnp.finfo(jnp.float32).min)


def all_sequences(num_tokens, length):
    """Every sequence [N, L]: tokens and the end, or `length` tokens without an end."""
    tokens = range(2, num_tokens)
    rows = [(*part, 1) for n in range(length) for part in itertools.product(tokens, repeat=n)]
    rows += itertools.product(tokens, repeat=length)
    return np.array([row + (0,) * (length - len(row)) for row in rows], np.float32)


def random_sequences(rng, size, num_tokens, length):
    """Sequences [N, L] that end at different places, with frequent and rare tokens."""
    place, ends = np.arange(length), rng.integers(0, length, size)[:, None]
    ids = 2 + np.minimum(rng.geometric(0.5, (size, length)) - 1, num_tokens - 3)
    return np.where(place < ends, ids, place == ends).astype(np.float32)
