"""What every distribution is: a frozen dataclass of arrays and a pytree, over ``[*batch, *event]``."""

import dataclasses
from typing import Any, ClassVar, TypeAlias

import chex
import jax
import jax.numpy as jnp

Array: TypeAlias = jax.Array
Scalar: TypeAlias = float | jax.Array


def sum_event(terms: Array, event_ndims: int) -> Array:
    """Sums the last `event_ndims` axes."""
    return terms.sum(axis=tuple(range(terms.ndim - event_ndims, terms.ndim)))


def one_axis(x: Array, event_shape: tuple[int, ...]) -> Array:
    """``[..., *event]``, or what broadcasts to it, as ``[..., prod(event)]``."""
    x = jnp.broadcast_to(x, jnp.broadcast_shapes(x.shape, event_shape))
    return x.reshape(*x.shape[: x.ndim - len(event_shape)], -1)


def static(default: Any = dataclasses.MISSING) -> Any:
    """A field that is part of the program, not an array."""
    return dataclasses.field(default=default, metadata={"static": True})


class Distribution:
    """What every distribution offers; a subclass gives `sample`, `log_prob_terms` (or `log_prob`) and `mean`.

    Its first field spans the event. Where one has no mean that is cheap, `mean` raises TypeError and `has_mean` is False.
    """

    event_ndims: int
    has_mean: ClassVar[bool] = True

    @property
    def _span(self) -> tuple[int, ...]:
        return getattr(self, dataclasses.fields(self)[0].name).shape

    @property
    def event_shape(self) -> tuple[int, ...]:
        """*event, read off the first field, which spans it in every family."""
        return self._span[len(self._span) - self.event_ndims :]

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """*batch, read off the same field."""
        return self._span[: len(self._span) - self.event_ndims]

    @property
    def center(self) -> Array:
        """One point that stands for the whole, ``[*batch, *event]``: the mean, where there is one."""
        return self.mean

    def sample(self, key: Array, shape: tuple[int, ...] = ()) -> Array:
        """Draws ``[*shape, *batch, *event]``, differentiable in the parameters where the family allows it."""
        raise TypeError(f"{type(self).__name__} cannot be sampled")

    def log_prob_terms(self, value: Array) -> Array:
        """Log p of each dimension on its own, ``[..., *event]``."""
        raise TypeError(f"{type(self).__name__} has no per-dimension density")

    def log_prob(self, value: Array) -> Array:
        """The log-density of a value, summed over the event; the event shape of the value must be that of the distribution."""
        event_shape = self.event_shape
        chex.assert_equal(value.shape[value.ndim - self.event_ndims :], event_shape)
        # On one axis: with a last axis of one channel, XLA's loops on the CPU are not vectorized and take half as long again.
        arrays = [
            field.name for field in dataclasses.fields(self) if not field.metadata.get("static")
        ]
        flat = {name: one_axis(getattr(self, name), event_shape) for name in arrays}
        flattened = dataclasses.replace(self, **flat, event_ndims=1)
        return flattened.log_prob_terms(one_axis(value, event_shape)).sum(-1)

    def sample_and_log_prob(self, key: Array, shape: tuple[int, ...] = ()) -> tuple[Array, Array]:
        """A draw and its log-density: the primitive, where the density of a draw is cheaper than that of any value."""
        value = self.sample(key, shape)
        return value, self.log_prob(value)

    def with_temperature(self, temperature: Scalar) -> "Distribution":
        """A narrower one of its family, to draw from: of a Gaussian, with its standard deviation times the temperature."""
        raise TypeError(f"{type(self).__name__} has no temperature")


def distribution(cls: type) -> type:
    """Makes a class of fields into a frozen dataclass and a pytree."""
    return jax.tree_util.register_dataclass(dataclasses.dataclass(frozen=True)(cls))
