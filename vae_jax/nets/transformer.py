"""Transformers of token sequences: an encoder, and a causal network for the next token.

Vaswani et al., 2017, arXiv:1706.03762, with the layer norm first and rotary positions, which need
no longest length.
"""

from typing import Any

import jax.numpy as jnp
from flax import linen as nn

from vae_jax.nets.attention import Block, check_sizes
from vae_jax.nets.tokens import TokenLogits, embedding_table, shift_right, token_ids
from vae_jax.types import Array, Params


class TransformerEncoder(nn.Module):
    """Sequences to the mean of the outputs of a transformer over their tokens.

    Padding is neither attended to nor counted, wherever it stands, so features do not depend on
    it; those of an empty sequence are zero. A condition is added to each token in every layer.
    """

    num_tokens: int
    features: int = 256
    layers: int = 2
    heads: int = 4
    dtype: Any = None  # dtype of compute and features, see `vae_jax.nets`

    @nn.compact
    def __call__(self, x: Array, c: Array | None = None) -> Array:
        """Ids x [N, L] and an optional condition c [N, C] -> h [N, F]."""
        check_sizes(self.features, self.layers, self.heads)
        tokens = token_ids(x)
        table = embedding_table(self, self.num_tokens, self.features)
        mask = tokens > 0
        positions = jnp.cumsum(mask, axis=1) - 1
        h = jnp.take(table, tokens, axis=0)
        for layer in range(self.layers):
            block = Block(self.features, self.heads, self.dtype, name=f"block_{layer}")
            h = block(h, positions, mask[:, None], c)
        h = nn.LayerNorm(dtype=jnp.float32, name="norm")(h)
        count = jnp.maximum(mask.sum(1, keepdims=True), 1)
        h = jnp.where(mask[..., None], h, 0).sum(1) / count
        return h if self.dtype is None else h.astype(self.dtype)


class CausalTransformer(nn.Module):
    """Logits of each token of a sequence, given those before it and a context.

    The interface is that of `nets.CausalGRU`. The context [N, C] is added to each token in every
    layer. A step costs as much as the attention of one token to all positions of the cache.
    """

    num_tokens: int
    features: int = 256
    layers: int = 2
    heads: int = 4
    dtype: Any = None  # dtype of products; logits are float32

    def setup(self) -> None:
        check_sizes(self.features, self.layers, self.heads)
        self.table = embedding_table(self, self.num_tokens + 1, self.features)
        self.blocks = [
            Block(self.features, self.heads, self.dtype, name=f"block_{layer}")
            for layer in range(self.layers)
        ]
        self.norm = nn.LayerNorm(dtype=jnp.float32)
        self.logits = TokenLogits(self.num_tokens, self.dtype)

    def __call__(self, tokens: Array, context: Array, mask: Array | None = None) -> Array:
        """Tokens [N, L] int32 and the context [N, C] -> logits [N, L, V] in float32.

        Logits at t depend on tokens before t. All of them are computed, whatever the mask.
        """
        del mask
        h = jnp.take(self.table, shift_right(tokens, self.num_tokens), axis=0)
        positions = jnp.arange(tokens.shape[1])
        causal = positions[:, None] >= positions[None]
        for block in self.blocks:
            h = block(h, positions[None], causal[None], context)
        return self.logits(self.norm(h))

    def start(self, context: Array, length: int) -> Any:
        """The carry of `step` before the first of `length` tokens, given a context [N, C]."""
        num = context.shape[0]
        return {
            "caches": [block.empty_cache(num, length) for block in self.blocks],
            "context": context,
            "position": jnp.zeros(num, jnp.int32),
        }

    def step(self, carry: Any, token: Array) -> tuple[Any, Array]:
        """The next carry, and the logits [N, V] of the token after `token` [N] int32."""
        h = jnp.take(self.table, token, axis=0)[:, None]
        caches = []
        for block, cache in zip(self.blocks, carry["caches"], strict=True):
            h, cache = block.step(h, carry["position"], cache, carry["context"])
            caches.append(cache)
        logits = self.logits(self.norm(h))[:, 0]
        return carry | {"caches": caches, "position": carry["position"] + 1}, logits

    @nn.nowrap
    def init_params(self, key: Array, context_features: int) -> Params:
        """Parameters for a distribution that holds them, for a context [N, context_features]."""
        context = jnp.zeros((1, context_features), jnp.float32)
        return self.init(key, jnp.zeros((1, 1), jnp.int32), context)["params"]
