"""Recurrent networks of token sequences: an encoder, and a causal network for the next token."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from vae_jax.errors import check_range
from vae_jax.nets.conditioning import Shift
from vae_jax.nets.dense import Dense
from vae_jax.nets.gru import GRUParams, gru_sequence, gru_step, pad_steps
from vae_jax.nets.tokens import TokenLogits, embedding_table, shift_right, token_ids
from vae_jax.types import Array, Params


def _orthogonal_gates(key: Array, shape: tuple[int, int], dtype: Any) -> Array:
    """A kernel [F, 3 F] of three orthogonal matrices."""
    init = nn.initializers.orthogonal()
    gates = [init(k, (shape[0], shape[0]), dtype) for k in jax.random.split(key, 3)]
    return jnp.concatenate(gates, axis=1)


class GRU(nn.Module):
    """A layer of gated recurrent units over vectors, see `nets.gru` for the formulas.

    An optional context [N, C] is added to the inputs of every step by a linear map.
    """

    in_features: int
    features: int
    dtype: Any = None  # dtype of products; states are float32

    def setup(self) -> None:
        sizes = self.in_features, self.features, 3 * self.features
        zeros, float32 = nn.initializers.zeros_init(), jnp.float32
        inputs_init = nn.initializers.lecun_normal()
        self.input_kernel = self.param("input_kernel", inputs_init, sizes[::2], float32)
        self.input_bias = self.param("input_bias", zeros, sizes[2:], float32)
        self.kernel = self.param("kernel", _orthogonal_gates, sizes[1:], float32)
        self.bias = self.param("bias", zeros, sizes[1:2], float32)
        self.context = Shift()

    def shift(self, context: Array | None = None) -> Array:
        """The addend of the inputs of every step, [N or 1, 3 F]."""
        return self.context(self.input_bias[None], context)

    def sequence(
        self,
        source: Array,
        h: Array,
        shift: Array,
        mask: Array | None = None,
        *,
        table: Array | None = None,
        reverse: bool = False,
    ) -> tuple[Array, Array]:
        """The final state [N, F] and all states [T, N, F], see `gru_sequence`.

        The source is [T, N, in_features], or [T, N] indices of rows of the table.
        """
        if table is not None and source.size < table.shape[0]:
            source, table = jnp.take(table, source, axis=0), None
        return gru_sequence(self._params(shift, table), source, h, mask, reverse=reverse)

    def step(self, source: Array, h: Array, shift: Array) -> Array:
        """The state [N, F] after one step from the source [N, in_features]."""
        return gru_step(self._params(shift), source, h)

    def _params(self, shift: Array, table: Array | None = None) -> GRUParams:
        dtype = jnp.float32 if self.dtype is None else self.dtype
        matrix = self.input_kernel.astype(dtype)
        matrix = matrix if table is None else table.astype(dtype) @ matrix
        return GRUParams(self.kernel.astype(dtype), self.bias, matrix, shift.astype(jnp.float32))


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
        source = pad_steps(token_ids(x).T)
        mask = source > 0
        table = embedding_table(self, self.num_tokens, self.embedding)
        zeros = jnp.zeros((x.shape[0], self.features), jnp.float32)
        names = ("forward", "backward") if self.bidirectional else ("forward",)
        for layer in range(self.layers):
            size = self.embedding if layer == 0 else source.shape[-1]
            results = []
            for name in names:
                gru = GRU(size, self.features, self.dtype, name=f"{name}_{layer}")
                rows, reverse = None if layer else table, name == "backward"
                results.append(
                    gru.sequence(source, zeros, gru.shift(c), mask, table=rows, reverse=reverse)
                )
            source = jnp.concatenate([states for _, states in results], axis=-1)
        h = jnp.concatenate([final for final, _ in results], axis=-1)
        return h if self.dtype is None else h.astype(self.dtype)


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
        layers = range(self.layers)
        self.table = embedding_table(self, self.num_tokens + 1, self.embedding)
        self.recurrent = [
            GRU(self.features if layer else self.embedding, self.features, self.dtype)
            for layer in layers
        ]
        self.initial = [Dense(self.features, dtype=self.dtype, wide=True) for _ in layers]
        self.logits = TokenLogits(self.num_tokens, self.dtype)

    def __call__(self, tokens: Array, context: Array, mask: Array | None = None) -> Array:
        """Tokens [N, L] int32 and the context [N, C] -> logits [N, L, V] in float32.

        Logits at t depend on tokens before t. `mask` [N, L] says which logits are needed, such as
        those of the tokens that are observed; the remaining ones are then finite and arbitrary,
        and steps that no sequence needs cost little.
        """
        source = pad_steps(shift_right(tokens, self.num_tokens).T)
        mask = None if mask is None else pad_steps(mask.T)
        table: Array | None = self.table
        for gru, initial in zip(self.recurrent, self.initial, strict=True):
            h, shift = jnp.tanh(initial(context)), gru.shift(context)
            _, source = gru.sequence(source, h, shift, mask, table=table)
            table = None
        return self.logits(source[: tokens.shape[1]]).swapaxes(0, 1)

    def start(self, context: Array, length: int) -> Any:
        """The carry of `step` before the first token, given a context [N, C]; for any length."""
        del length
        return {
            "states": [jnp.tanh(initial(context)) for initial in self.initial],
            "shifts": [gru.shift(context) for gru in self.recurrent],
        }

    def step(self, carry: Any, token: Array) -> tuple[Any, Array]:
        """The next carry, and the logits [N, V] of the token after `token` [N] int32."""
        h = jnp.take(self.table, token, axis=0)
        states = []
        layers = zip(self.recurrent, carry["states"], carry["shifts"], strict=True)
        for gru, state, shift in layers:
            h = gru.step(h, state, shift)
            states.append(h)
        return carry | {"states": states}, self.logits(h)

    @nn.nowrap
    def init_params(self, key: Array, context_features: int) -> Params:
        """Parameters for a distribution that holds them, for a context [N, context_features]."""
        context = jnp.zeros((1, context_features), jnp.float32)
        return self.init(key, jnp.zeros((1, 1), jnp.int32), context)["params"]
