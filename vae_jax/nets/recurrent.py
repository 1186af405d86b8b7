"""Recurrent networks of token sequences: an encoder, and a causal network for the next token."""

from typing import Any

import jax.numpy as jnp
from flax import linen as nn

from vae_jax.errors import check_range
from vae_jax.nets.conditioning import Shift
from vae_jax.nets.dense import Dense
from vae_jax.nets.gru import GRU
from vae_jax.nets.tokens import Embedding, TokenLogits, shift_right, token_ids
from vae_jax.types import Array, Params


class GRUEncoder(nn.Module):
    """Sequences to the final states of a GRU, in both directions or one.

    Padding leaves the states as they are, wherever it stands, so features do not depend on it. A
    second layer sees the states of both directions of the first. A condition is added to the inputs
    of every step and layer.
    """

    num_tokens: int
    features: int = 256
    layers: int = 1
    embedding: int = 64
    bidirectional: bool = True
    dtype: Any = None  # dtype of compute and features, see `vae_jax.nets`

    @nn.compact
    def __call__(self, x: Array, c: Array | None = None) -> Array:
        """Ids x [N, L] and an optional condition c [N, C] -> h [N, F or 2 F]."""
        check_range("layers", self.layers, 1)
        tokens = token_ids(x).T
        mask = tokens > 0
        directions = (False, True) if self.bidirectional else (False,)
        zeros = jnp.zeros((x.shape[0], self.features), jnp.float32)
        states = tokens
        for layer in range(self.layers):
            results = []
            for reverse in directions:
                name = f"{'backward' if reverse else 'forward'}_{layer}"
                inputs = self._inputs(states, layer, name)
                inputs = Shift(name=f"{name}_condition")(inputs.swapaxes(0, 1), c).swapaxes(0, 1)
                gru = GRU(self.features, name=name)
                results.append(gru(inputs, zeros, mask, reverse=reverse))
            states = jnp.concatenate([steps for _, steps in results], axis=-1)
        h = jnp.concatenate([final for final, _ in results], axis=-1)
        return h if self.dtype is None else h.astype(self.dtype)

    def _inputs(self, states: Array, layer: int, name: str) -> Array:
        """The inputs [T, N, 3 F] of a layer."""
        size = 3 * self.features
        if layer == 0:
            embedding = Embedding(
                self.num_tokens, self.embedding, size, self.dtype, name=f"{name}_inputs"
            )
            return embedding(states)
        return Dense(size, dtype=self.dtype, name=f"{name}_inputs")(states)


class CausalGRU(nn.Module):
    """Logits of each token of a sequence, given those before it and a context.

    The context [N, C] sets the initial state of each layer, tanh of an affine map, and is added to
    the inputs of every step and layer. Causal networks have this interface:

        logits = network.apply({"params": params}, tokens, context)           # [N, L, V]
        carry = network.apply({"params": params}, context, L, method="start")
        carry, logits = network.apply({"params": params}, carry, token, method="step")  # [N, V]

    The first token of `step` is the start symbol, V. Each array of the carry has N as its first
    axis, so that beam search can reorder it.
    """

    num_tokens: int
    features: int = 512
    layers: int = 1
    embedding: int = 64
    dtype: Any = None  # dtype of products; states and logits are float32

    def setup(self) -> None:
        check_range("layers", self.layers, 1)
        size = 3 * self.features
        self.embed = Embedding(self.num_tokens + 1, self.embedding, size, self.dtype)
        layers = range(self.layers)
        self.inputs = [Dense(size, dtype=self.dtype) for _ in layers[1:]]
        self.initial = [Dense(self.features, dtype=self.dtype, wide=True) for _ in layers]
        self.context = [Dense(size, dtype=self.dtype) for _ in layers]
        self.recurrent = [GRU(self.features) for _ in layers]
        self.logits = TokenLogits(self.num_tokens, self.dtype)

    def __call__(self, tokens: Array, context: Array, mask: Array | None = None) -> Array:
        """Tokens [N, L] int32 and the context [N, C] -> logits [N, L, V] in float32.

        Logits at t depend on tokens before t. If only some of them are needed, as those of the
        observed tokens, `mask` [N, L] says which; what others are is then not defined.
        """
        tokens = shift_right(tokens, self.num_tokens).T
        mask = None if mask is None else mask.T
        states, shifts = self._start(context)
        inputs = self.embed(tokens)
        for layer, (h, shift) in enumerate(zip(states, shifts, strict=True)):
            inputs = inputs if layer == 0 else self.inputs[layer - 1](inputs)
            _, inputs = self.recurrent[layer](inputs + shift, h, mask)
        return self.logits(inputs).swapaxes(0, 1)

    def start(self, context: Array, length: int) -> Any:
        """The carry of `step` before the first token; `length` is not needed here."""
        del length
        states, shifts = self._start(context)
        return {"states": states, "shifts": shifts}

    def step(self, carry: Any, token: Array) -> tuple[Any, Array]:
        """The logits [N, V] of the token after `token` [N] int32."""
        states, inputs = [], self.embed(token)
        for layer, (h, shift) in enumerate(zip(carry["states"], carry["shifts"], strict=True)):
            inputs = inputs if layer == 0 else self.inputs[layer - 1](inputs)
            inputs = self.recurrent[layer].step(inputs + shift, h)
            states.append(inputs)
        return carry | {"states": states}, self.logits(inputs)

    @nn.nowrap
    def init_params(self, key: Array, context_features: int) -> Params:
        """Parameters for a distribution that holds them next to the unbound network."""
        context = jnp.zeros((1, context_features), jnp.float32)
        return self.init(key, jnp.zeros((1, 1), jnp.int32), context)["params"]

    def _start(self, context: Array) -> tuple[list[Array], list[Array]]:
        """The initial states [N, F] and what is added to the inputs [N, 3 F], by layer."""
        states = [jnp.tanh(initial(context)) for initial in self.initial]
        return states, [shift(context) for shift in self.context]
