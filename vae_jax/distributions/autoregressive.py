"""Autoregressive distributions of discrete values."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from vae_jax.distributions.base import Distribution, sum_event
from vae_jax.distributions.discrete import Bernoulli
from vae_jax.types import Array, Scalar, pytree_dataclass, static


@pytree_dataclass
class Autoregressive(Distribution):
    """p(x | context) = prod_i p(x_i | x_1 .. x_{i-1}, context), each factor over `levels` values.

    The event is [H, W] or [H, W, C], in row-major order.
    `network.apply({"params": params}, x, context)` maps x [N, H, W, C] and context [N, H, W, F] to
    logits [N, H, W, C, levels], or to one logit for two levels. The logits of x_i must depend on
    x_1 .. x_{i-1} only, as in `nets.PixelCNN`. Values are k / (levels - 1) for k = 0 .. levels - 1,
    or k itself with `integers`; values in between are scored as the nearest, those that round to
    none of them -inf.

    `log_prob` takes one pass of the network. `sample` and `center` take H W C sequential passes
    over the whole image, so use them for small images. There is no closed-form mean. To `vmap` over
    the context alone, use the axes ``dataclasses.replace(p, context=0, params=None,
    temperature=None)``. With a `history` the network sees it as x_1 .. x_{i-1}, in place of the
    value; then it is no density.
    """

    context: Array  # [*batch, H, W, F], or [*batch, 1, 1, F] if the same for all pixels
    params: Any  # parameters of the network
    network: Any = static()  # an unbound Linen module
    event: tuple[int, ...] = static()  # (H, W) or (H, W, C)
    levels: int = static(2)
    integers: bool = static(False)
    temperature: Scalar = 1.0  # one per factor
    history: Array | None = None  # [..., *event], broadcasts against values
    has_mean: ClassVar[bool] = False
    factorized: ClassVar[bool] = False

    @property
    def event_ndims(self) -> int:
        return len(self.event)

    @property
    def event_shape(self) -> tuple[int, ...]:
        return self.event

    @property
    def batch_shape(self) -> tuple[int, ...]:
        return self.context.shape[:-3]

    @property
    def mean(self) -> Array:
        raise TypeError(
            "an autoregressive distribution has no mean in closed form; use its center or samples"
        )

    @property
    def center(self) -> Array:
        """The greedy sequence ``[*batch, *event]``: each value the mode given those before it."""
        return self._generate(lambda logits, _: self._mode(logits), ())

    def sample(self, key: Array, shape: tuple[int, ...] = ()) -> Array:
        return self._generate(
            lambda logits, i: self._sample_index(jax.random.fold_in(key, i), logits), shape
        )

    def comparable(self, key: Array) -> Array:
        return self._generate(
            lambda logits, i: self._share_noise(jax.random.fold_in(key, i), logits), ()
        )

    def log_prob_terms(self, value: Array) -> Array:
        """The terms log p(x_i | x_1 .. x_{i-1}), ``[..., *event]``.

        They sum to `log_prob`; each depends on all values before it.
        """
        self._assert_event(value)
        lead = jnp.broadcast_shapes(value.shape[: value.ndim - self.event_ndims], self.batch_shape)
        index = self._index(jnp.broadcast_to(value, (*lead, *self.event)))
        past = index
        if self.history is not None:
            past = self._index(jnp.broadcast_to(self.history, index.shape))
        logits = self._logits(past.reshape(-1, *self.event), self._flat_context(lead))
        terms = self._log_mass(logits, index.reshape(logits.shape[:2])).reshape(*lead, *self.event)
        inside = (index >= 0) & (index < self.levels)
        return jnp.where(inside, terms, -jnp.inf)

    def given_history(self, history: Array) -> "Autoregressive":
        return dataclasses.replace(self, history=history)

    def log_prob(self, value: Array) -> Array:
        return sum_event(self.log_prob_terms(value), self.event_ndims)

    def _narrow(self, temperature: Scalar) -> "Autoregressive":
        """Each factor raised to the power 1 / temperature and normalized."""
        return dataclasses.replace(self, temperature=self.temperature * temperature)

    def _index(self, value: Array) -> Array:
        """Values as indices k = 0 .. levels - 1."""
        return (value if self.integers else jnp.round(value * (self.levels - 1))).astype(jnp.int32)

    def _value(self, index: Array) -> Array:
        return index if self.integers else index.astype(jnp.float32) / (self.levels - 1)

    def _flat_context(self, lead: tuple[int, ...]) -> Array:
        """The context [N, H, W, F], one for each element of a batch of shape `lead`."""
        tail = self.context.shape[-3:]
        return jnp.broadcast_to(self.context, (*lead, *tail)).reshape(-1, *tail)

    def _logits(self, index: Array, context: Array) -> Array:
        """Indices [N, *event], context [N, H, W, F] -> logits [N, prod(event), levels or 1]."""
        image = self._value(index).reshape(index.shape[0], *self.event[:2], -1)
        logits = self.network.apply({"params": self.params}, image, context)
        return logits.reshape(index.shape[0], math.prod(self.event), -1) / self.temperature

    def _log_mass(self, logits: Array, index: Array) -> Array:
        if self.levels == 2:
            return Bernoulli(logits[..., 0]).log_prob_terms(index)
        logit = jnp.where(index[..., None] == jnp.arange(self.levels), logits, 0).sum(-1)
        return logit - jax.nn.logsumexp(logits, axis=-1)

    def _sample_index(self, key: Array, logits: Array) -> Array:
        if self.levels == 2:
            return jax.random.bernoulli(key, jax.nn.sigmoid(logits[..., 0])).astype(jnp.int32)
        return jax.random.categorical(key, logits).astype(jnp.int32)

    def _share_noise(self, key: Array, logits: Array) -> Array:
        """A draw for each row of logits [N, levels or 1], from the same noise."""
        if self.levels == 2:
            probability = jax.nn.sigmoid(logits[..., 0])
            return (jax.random.uniform(key, (), logits.dtype) < probability).astype(jnp.int32)
        noise = jax.random.gumbel(key, logits.shape[-1:], logits.dtype)
        return jnp.argmax(logits + noise, axis=-1).astype(jnp.int32)

    def _mode(self, logits: Array) -> Array:
        if self.levels == 2:
            return (logits[..., 0] > 0).astype(jnp.int32)
        return jnp.argmax(logits, axis=-1).astype(jnp.int32)

    def _generate(self, choose: Callable[[Array, Array], Array], shape: tuple[int, ...]) -> Array:
        """Values ``[*shape, *batch, *event]``, generated in order.

        `choose` maps the logits [N, levels or 1] and the position i to indices [N].
        """
        lead = (*shape, *self.batch_shape)
        size = math.prod(self.event)
        context = self._flat_context(lead)

        def body(i: Array, index: Array) -> Array:
            logits = self._logits(index.reshape(-1, *self.event), context)
            logits = jax.lax.dynamic_index_in_dim(logits, i, axis=1, keepdims=False)
            return index.at[:, i].set(choose(logits, i))

        index = jax.lax.fori_loop(0, size, body, jnp.zeros((math.prod(lead), size), jnp.int32))
        return self._value(index).reshape(*lead, *self.event)
