"""Beam search: the most likely sequences of an autoregressive distribution over tokens."""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from vae_jax.distributions.tokens import END, PADDING, TokenSequence
from vae_jax.errors import check_range
from vae_jax.types import Array, pytree_dataclass


class Beams(NamedTuple):
    """The sequences that a search has kept, the most likely first."""

    values: Array  # [*batch, num_beams, L] token ids, float32
    log_prob: Array  # [*batch, num_beams] nats; -inf, and a value of zeros, if there are fewer


@pytree_dataclass
class _State:
    """The beams of N searches between two tokens."""

    carry: Any  # of the network, each leaf [N * num_beams, ...], or one number for all
    token: Array  # [N, num_beams] the last token, int32
    ids: Array  # [N, num_beams, L] int32, zeros from the current position on
    log_prob: Array  # [N, num_beams]
    is_finished: Array  # [N, num_beams] the end token was generated


def beam_search(p: TokenSequence, num_beams: int) -> Beams:
    """Search for the sequences with the largest log p(x), in L steps of the network.

    Each step extends every beam by every token and keeps the `num_beams` extensions with the
    largest log p(x_1 .. x_t). A beam that has ended is extended by padding, at no cost. The result
    is exact if there are no more sequences than beams, and the greedy sequence with one beam; in
    between it may miss the mode. There is no correction for length. The log-probabilities are those
    of `p`, at its temperature.

    Args:
      p: over [*batch, L].
      num_beams: at least 1; memory and time are proportional to it.
    """
    check_range("num_beams", num_beams, 1)
    shape = (*p.batch_shape, num_beams)
    rows = dataclasses.replace(p, context=jnp.repeat(p.context[..., None, :], num_beams, axis=-2))
    carry, token = rows.start(shape)
    # All beams are the same at first, so only one of them counts.
    log_prob = jnp.where(jnp.arange(num_beams) == 0, 0.0, -jnp.inf)
    state = _State(
        carry=carry,
        token=token.reshape(-1, num_beams),
        ids=jnp.zeros((len(token) // num_beams, num_beams, p.length), jnp.int32),
        log_prob=jnp.broadcast_to(log_prob, (len(token) // num_beams, num_beams)),
        is_finished=jnp.zeros((len(token) // num_beams, num_beams), bool),
    )

    def advance(state: _State, position: Array) -> tuple[_State, None]:
        carry, logits = rows.step(state.carry, state.token.reshape(-1))
        terms = jax.nn.log_softmax(logits).reshape(*state.token.shape, -1)
        return _extend(dataclasses.replace(state, carry=carry), terms, position), None

    state, _ = jax.lax.scan(advance, state, jnp.arange(p.length))
    exists = jnp.isfinite(state.log_prob)[..., None]
    return Beams(
        jnp.where(exists, state.ids, PADDING).astype(jnp.float32).reshape(*shape, p.length),
        state.log_prob.reshape(shape),
    )


def _extend(state: _State, terms: Array, position: Array) -> _State:
    """The best extensions of the beams by a token, given its log p [N, num_beams, V]."""
    shape, num_tokens = state.log_prob.shape, terms.shape[-1]
    is_padding = jnp.arange(num_tokens) == PADDING
    ended = state.is_finished[..., None]
    terms = jnp.where(is_padding == ended, jnp.where(ended, 0.0, terms), -jnp.inf)
    scores = (state.log_prob[..., None] + terms).reshape(shape[0], -1)
    log_prob, index = jax.lax.top_k(scores, shape[1])
    parent, token = index // num_tokens, (index % num_tokens).astype(jnp.int32)
    ids = jnp.take_along_axis(state.ids, parent[..., None], axis=1)
    is_finished = jnp.take_along_axis(state.is_finished, parent, axis=1)
    rows = (parent + shape[1] * jnp.arange(shape[0])[:, None]).reshape(-1)
    return _State(
        carry=jax.tree.map(lambda leaf: leaf[rows] if leaf.ndim else leaf, state.carry),
        token=token,
        ids=ids.at[..., position].set(token),
        log_prob=log_prob,
        is_finished=is_finished | (token == END),
    )
