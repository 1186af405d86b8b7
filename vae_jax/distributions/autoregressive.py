"""Discrete values one after the other, each given those before it, by a network that sees them in order."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any, ClassVar

import chex
import jax
import jax.numpy as jnp

from vae_jax.distributions.base import Array, Distribution, Scalar, distribution, static, sum_event
from vae_jax.distributions.discrete import Bernoulli


@distribution
class Autoregressive(Distribution):
    """p(x | context) = prod_i p(x_i | x_1 .. x_{i-1}, context), each factor over `levels` values.

    The event is [H, W] or [H, W, C], in the order of its memory. `network.apply({"params": params}, x, context)` maps
    x [N, H, W, C] and the context [N, H, W, F] to logits [N, H, W, C, levels], or for two levels one logit, of which those of
    x_i must depend on x_1 .. x_{i-1} only: `nets.PixelCNN`. Values are k / (levels - 1) for k = 0 .. levels - 1, or k itself
    where they are `integers`; what lies between is scored as the nearest.

    `log_prob` is one pass of the network for each member of the batch. `sample` and `center` are H W C passes, one after
    the other, each over the whole image: for small ones. No mean is at hand. Under `vmap` over the context alone, the axes
    are ``dataclasses.replace(p, context=0, params=None, temperature=None)``.
    """

    context: Array  # [*batch, H, W, F], or [*batch, 1, 1, F] where all pixels have the same
    params: Any  # of the network
    network: Any = static()  # a Linen module that is not bound
    event: tuple[int, ...] = static()  # (H, W) or (H, W, C)
    levels: int = static(2)
    integers: bool = static(False)
    temperature: Scalar = 1.0  # of every factor
    has_mean: ClassVar[bool] = False

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
            "an autoregressive distribution has no mean at hand: draw from it, or take its center"
        )

    @property
    def center(self) -> Array:
        """The greedy sequence, ``[*batch, *event]``: each value the likeliest given those before it."""
        return self._in_order(lambda logits, _: self._likeliest(logits), ())

    def sample(self, key: Array, shape: tuple[int, ...] = ()) -> Array:
        return self._in_order(
            lambda logits, i: self._drawn(jax.random.fold_in(key, i), logits), shape
        )

    def log_prob_terms(self, value: Array) -> Array:
        """The terms log p(x_i | x_1 .. x_{i-1}), ``[..., *event]``: they sum to `log_prob`, but none is of its value alone."""
        chex.assert_equal(value.shape[value.ndim - self.event_ndims :], self.event)
        lead = jnp.broadcast_shapes(value.shape[: value.ndim - self.event_ndims], self.batch_shape)
        index = self._index(jnp.broadcast_to(value, (*lead, *self.event)))
        logits = self._logits(index.reshape(-1, *self.event), self._flat_context(lead))
        return self._log_mass(logits, index.reshape(logits.shape[:2])).reshape(*lead, *self.event)

    def log_prob(self, value: Array) -> Array:
        return sum_event(self.log_prob_terms(value), self.event_ndims)

    def with_temperature(self, temperature: Scalar) -> "Autoregressive":
        """Every factor to the power of 1 / temperature, normalized again."""
        return dataclasses.replace(self, temperature=self.temperature * temperature)

    def _index(self, value: Array) -> Array:
        """Values as k = 0 .. levels - 1."""
        return (value if self.integers else jnp.round(value * (self.levels - 1))).astype(jnp.int32)

    def _value(self, index: Array) -> Array:
        return index if self.integers else index.astype(jnp.float32) / (self.levels - 1)

    def _flat_context(self, lead: tuple[int, ...]) -> Array:
        """[N, H, W, F] for the members of a batch of shape lead."""
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
        chosen = jnp.where(index[..., None] == jnp.arange(self.levels), logits, 0).sum(-1)
        return chosen - jax.nn.logsumexp(logits, axis=-1)

    def _drawn(self, key: Array, logits: Array) -> Array:
        if self.levels == 2:
            return jax.random.bernoulli(key, jax.nn.sigmoid(logits[..., 0])).astype(jnp.int32)
        return jax.random.categorical(key, logits).astype(jnp.int32)

    def _likeliest(self, logits: Array) -> Array:
        return (
            (logits[..., 0] > 0).astype(jnp.int32)
            if self.levels == 2
            else jnp.argmax(logits, axis=-1).astype(jnp.int32)
        )

    def _in_order(self, choose: Callable[[Array, Array], Array], shape: tuple[int, ...]) -> Array:
        """Values ``[*shape, *batch, *event]``, each `choose`n from (its logits [N, levels or 1], its place) in turn."""
        lead, size = (*shape, *self.batch_shape), math.prod(self.event)
        context = self._flat_context(lead)

        def body(i: Array, index: Array) -> Array:
            logits = self._logits(index.reshape(-1, *self.event), context)
            return index.at[:, i].set(
                choose(jax.lax.dynamic_index_in_dim(logits, i, axis=1, keepdims=False), i)
            )

        index = jax.lax.fori_loop(0, size, body, jnp.zeros((math.prod(lead), size), jnp.int32))
        return self._value(index).reshape(*lead, *self.event)
