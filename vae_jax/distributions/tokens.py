"""Distributions over sequences of tokens, one token given all before it."""

import dataclasses
from typing import Any, ClassVar

import chex
import jax
import jax.numpy as jnp

from vae_jax.distributions.base import Distribution
from vae_jax.types import Array, Scalar, pytree_dataclass, static

PADDING, END = 0, 1  # id of what follows the end of a sequence, and of the end


@pytree_dataclass
class TokenSequence(Distribution):
    """p(x | context) = prod_t p(x_t | x_1 .. x_{t-1}, context) for ids x_t of tokens.

    The event is [L]: tokens 2 .. num_tokens - 1, then the end 1, then padding 0, which has
    probability one after the end and zero before it. A sequence that fills [L] without an end has
    the probability that it begins so. Values are floats; those that are no ids have log-density
    -inf.

    `observed_log_prob` is exact for an observed prefix, for which the tokens after it are
    integrated out; it is NaN for any other mask.

    `network` has three methods, see `nets.CausalGRU`:
    `apply({"params": params}, tokens [N, L], context [N, F], mask [N, L])` -> logits [N, L,
    num_tokens], which depend on earlier tokens only, in one pass for `log_prob`, and which are
    needed at the mask only; and `start` and `step`, token by token for `sample` and `center`.
    Logits of padding must be so small that its probability is zero.

    With a `history` [..., L] the network sees it as the past, in place of the value: a corrupted
    copy, for the word dropout of Bowman et al., 2016, arXiv:1511.06349. Then it is no density.
    """

    context: Array  # [*batch, F]
    params: Any  # parameters of the network
    network: Any = static()  # an unbound Linen module
    length: int = static()  # L
    num_tokens: int = static()  # ids 0 .. num_tokens - 1
    temperature: Scalar = 1.0  # one per factor
    history: Array | None = None  # [..., L], broadcasts against values
    has_mean: ClassVar[bool] = False
    factorized: ClassVar[bool] = False

    @property
    def event_ndims(self) -> int:
        return 1

    @property
    def event_shape(self) -> tuple[int, ...]:
        return (self.length,)

    @property
    def batch_shape(self) -> tuple[int, ...]:
        return self.context.shape[:-1]

    @property
    def mean(self) -> Array:
        raise TypeError("a sequence of tokens has no mean; use its center or samples")

    @property
    def center(self) -> Array:
        """The greedy sequence ``[*batch, L]``: each token the most likely one given the past."""
        return self._generate(None, ())

    def sample(self, key: Array, shape: tuple[int, ...] = ()) -> Array:
        return self._generate(key, shape)

    def typical(self, key: Array) -> Array:
        """The greedy sequence ``[*batch, L]``."""
        del key
        return self.center

    def given_history(self, history: Array) -> "TokenSequence":
        chex.assert_axis_dimension(history, -1, self.length)
        return dataclasses.replace(self, history=history)

    def log_prob_terms(self, value: Array) -> Array:
        """The terms log p(x_t | x_1 .. x_{t-1}), ``[..., L]``; 0 for padding after the end."""
        self._assert_event(value)
        lead = jnp.broadcast_shapes(value.shape[:-1], self.batch_shape)
        value = jnp.broadcast_to(value, (*lead, self.length))
        past = value if self.history is None else jnp.broadcast_to(self.history, value.shape)
        before_end = _before_end(value)
        terms = self._token_terms(_to_ids(value), _to_ids(past), before_end)
        is_id = (value == jnp.round(value)) & (value >= 0) & (value < self.num_tokens)
        possible = is_id & jnp.where(before_end, value != PADDING, value == PADDING)
        return jnp.where(possible, jnp.where(before_end, terms, 0), -jnp.inf)

    def log_prob(self, value: Array) -> Array:
        return self.log_prob_terms(value).sum(-1)

    def observed_log_prob(self, value: Array, observed: Array | None) -> Array:
        """The log-probability that a sequence ``[..., L]`` begins with the observed prefix.

        `observed` [..., L] is True at the prefix; None means all. NaN for any other mask.
        """
        if observed is None:
            return self.log_prob(value)
        is_prefix = (observed[..., 1:] <= observed[..., :-1]).all(-1)
        # Padding can't be scored before an end, and its terms are omitted anyway.
        terms = self.log_prob_terms(jnp.where(observed, value, PADDING))
        return jnp.where(is_prefix, jnp.where(observed, terms, 0).sum(-1), jnp.nan)

    def predict(self, value: Array) -> Array:
        """The most likely token at each place given the tokens of a value before it, ``[..., L]``.

        Its agreement with the value is the accuracy under teacher forcing. After the end of the
        value it is arbitrary.
        """
        self._assert_event(value)
        lead = jnp.broadcast_shapes(value.shape[:-1], self.batch_shape)
        value = jnp.broadcast_to(value, (*lead, self.length)).reshape(-1, self.length)
        logits = self._apply(_to_ids(value), self._flat_context(lead), _before_end(value))
        return jnp.argmax(logits, axis=-1).reshape(*lead, self.length).astype(jnp.float32)

    def _narrow(self, temperature: Scalar) -> "TokenSequence":
        """Each factor raised to the power 1 / temperature and normalized."""
        return dataclasses.replace(self, temperature=self.temperature * temperature)

    def _token_terms(self, ids: Array, past: Array, mask: Array) -> Array:
        """The log-probability of each of the ids [*lead, L] after the tokens before it.

        It is arbitrary without the mask, which lets a network omit steps.
        """
        lead = ids.shape[:-1]
        ids = ids.reshape(-1, self.length)
        context = self._flat_context(lead)
        mask = mask.reshape(ids.shape)
        logits = self._apply(past.reshape(ids.shape), context, mask) / self.temperature
        logit = jnp.take_along_axis(logits, ids[..., None], axis=-1)[..., 0]
        return (logit - jax.nn.logsumexp(logits, axis=-1)).reshape(*lead, self.length)

    def _apply(self, *args: Any, method: str | None = None) -> Any:
        return self.network.apply({"params": self.params}, *args, method=method)

    def start(self, lead: tuple[int, ...]) -> tuple[Any, Array]:
        """The carry of the network before the first token, and the start symbol [N]."""
        context = self._flat_context(lead)
        carry = self._apply(context, self.length, method="start")
        return carry, jnp.full(len(context), self.num_tokens, jnp.int32)

    def step(self, carry: Any, token: Array) -> tuple[Any, Array]:
        """The next carry, and the logits [N, num_tokens] of the token after `token` [N]."""
        carry, logits = self._apply(carry, token, method="step")
        return carry, logits / self.temperature

    def _flat_context(self, lead: tuple[int, ...]) -> Array:
        """The context [N, F], one for each element of a batch of shape `lead`."""
        features = self.context.shape[-1:]
        return jnp.broadcast_to(self.context, (*lead, *features)).reshape(-1, *features)

    def _generate(self, key: Array | None, shape: tuple[int, ...]) -> Array:
        """Sequences ``[*shape, *batch, L]``, drawn with a key or greedy without."""
        lead = (*shape, *self.batch_shape)
        carry, token = self.start(lead)

        def advance(state: tuple[Any, Array, Array], t: Array) -> tuple[Any, Array]:
            carry, token, ended = state
            carry, logits = self.step(carry, token)
            if key is None:
                token = jnp.argmax(logits, axis=-1)
            else:
                token = jax.random.categorical(jax.random.fold_in(key, t), logits)
            token = jnp.where(ended, PADDING, token).astype(jnp.int32)
            return (carry, token, ended | (token == END)), token

        state = (carry, token, jnp.zeros(token.shape, bool))
        _, tokens = jax.lax.scan(advance, state, jnp.arange(self.length))
        return tokens.T.reshape(*lead, self.length).astype(jnp.float32)


def _to_ids(value: Array) -> Array:
    """Values as integers; what is no number is padding."""
    return jnp.nan_to_num(value, nan=PADDING, posinf=PADDING, neginf=PADDING).astype(jnp.int32)


def _before_end(value: Array) -> Array:
    """True at the tokens [..., L] up to the first end, which is one of them."""
    ends = (value == END).astype(jnp.int32)
    return jnp.cumsum(ends, axis=-1) - ends == 0
