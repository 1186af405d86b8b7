"""The interface of distributions: frozen dataclasses and pytrees over ``[*batch, *event]``."""

import dataclasses
import functools
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Self

import chex
import jax
import jax.numpy as jnp
import numpy as np

from vae_jax.errors import InputError, UnsupportedError, format_value
from vae_jax.types import Array, Scalar


def sum_event(terms: Array, event_ndims: int) -> Array:
    """Sum the last `event_ndims` axes: terms [..., *event] to [...]."""
    return terms.sum(axis=tuple(range(terms.ndim - event_ndims, terms.ndim)))


def expand_event(x: Array, event_ndims: int) -> Array:
    """Numbers [*batch] for each example, so that they broadcast against [*batch, *event]."""
    return x.reshape(*x.shape, *(1,) * event_ndims)


def one_axis(x: Array, event_shape: tuple[int, ...]) -> Array:
    """Broadcast to at least ``[..., *event]`` and flatten the event: ``[..., prod(event)]``."""
    x = jnp.broadcast_to(x, jnp.broadcast_shapes(x.shape, event_shape))
    return x.reshape(*x.shape[: x.ndim - len(event_shape)], -1)


def allow_broadcasting(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function with arrays of different ranks, for any `jax_numpy_rank_promotion`.

    Here values broadcast against parameters by definition.
    """

    @functools.wraps(function)
    def broadcasting(*args: Any, **kwargs: Any) -> Any:
        with jax.numpy_rank_promotion("allow"):
            return function(*args, **kwargs)

    return broadcasting


class Distribution:
    """Base class of all distributions.

    A subclass defines `sample`, `mean` and `log_prob_terms` or `log_prob`. Its first field spans
    the event. Without a cheap mean, `mean` raises TypeError and `has_mean` is False. One with a
    temperature defines `_narrow`.

    Values outside the support have log-density -inf, never NaN. On a grid the support includes what
    rounds to one of its values.
    """

    has_mean: ClassVar[bool] = True
    factorized: ClassVar[bool] = True  # log_prob_terms are densities of each dimension alone

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        for name, member in list(vars(cls).items()):
            if isinstance(member, property) and member.fget is not None:
                setattr(cls, name, property(allow_broadcasting(member.fget)))
            elif inspect.isfunction(member) and not name.startswith("__"):
                setattr(cls, name, allow_broadcasting(member))

    if TYPE_CHECKING:  # fields or properties of the subclasses, which are dataclasses
        __dataclass_fields__: ClassVar[dict[str, dataclasses.Field[Any]]]

        @property
        def event_ndims(self) -> int: ...

        @property
        def mean(self) -> Array: ...

    @property
    def _span(self) -> tuple[int, ...]:
        return getattr(self, dataclasses.fields(self)[0].name).shape

    @property
    def event_shape(self) -> tuple[int, ...]:
        """*event, the trailing axes of the first field."""
        return self._span[len(self._span) - self.event_ndims :]

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """*batch, the leading axes of the first field."""
        return self._span[: len(self._span) - self.event_ndims]

    @property
    def center(self) -> Array:
        """A representative point ``[*batch, *event]``: the mean, or a mode if there is no mean."""
        return self.mean

    def sample(self, key: Array, shape: tuple[int, ...] = ()) -> Array:
        """Samples ``[*shape, *batch, *event]``, reparameterized if the family allows it.

        Raises:
          TypeError: a family without samples.
        """
        raise TypeError(f"{type(self).__name__} cannot be sampled")

    def typical(self, key: Array) -> Array:
        """A value ``[*batch, *event]`` to show: the mean, or a draw if there is no mean."""
        return self.mean if self.has_mean else self.sample(key)

    def comparable(self, key: Array) -> Array:
        """Values ``[*batch, *event]`` as of `typical`, for elements that are compared.

        Draws share their random numbers over the batch where the distribution can do so. Then they
        differ only as far as their distributions do, but they are not independent.
        """
        return self.typical(key)

    def given_history(self, history: Array) -> "Distribution":
        """The distribution whose network sees `history` [..., *event] as the past of each entry.

        Raises:
          UnsupportedError: the entries have no order.
        """
        raise UnsupportedError(
            f"history: the entries of {type(self).__name__} have no order, and so no past"
        )

    def log_prob_terms(self, value: Array) -> Array:
        """Per-dimension log p in nats, ``[..., *event]``, of a value ``[..., *event]``.

        Raises:
          TypeError: a family whose density is of the event as a whole.
        """
        raise TypeError(f"{type(self).__name__} has no per-dimension density")

    def log_prob(self, value: Array) -> Array:
        """The log-density of a value ``[..., *event]``, nats, summed over the event: ``[...]``."""
        self._assert_event(value)
        return self._flattened().log_prob_terms(one_axis(value, self.event_shape)).sum(-1)

    def observed_log_prob(self, value: Array, observed: Array | None) -> Array:
        """The log-density of the observed entries of a value ``[..., *event]``: ``[...]``.

        The other entries are integrated out, whatever their values are: their terms are omitted
        from the sum. `observed` [..., *event] is True at observed entries; None means all.

        Raises:
          UnsupportedError: the entries depend on each other.
        """
        if observed is None:
            return self.log_prob(value)
        self._assert_event(value)
        if not self.factorized:
            raise UnsupportedError(
                f"observed: the entries of {type(self).__name__} depend on each other, so that "
                "missing ones can't be integrated out"
            )
        flat = self._flattened()
        if flat.event_ndims == 1:
            value, observed = (one_axis(array, self.event_shape) for array in (value, observed))
        # Values in the support, so that no gradient is NaN.
        value = jnp.where(observed, value, jax.lax.stop_gradient(flat.center))
        return sum_event(jnp.where(observed, flat.log_prob_terms(value), 0), flat.event_ndims)

    def scale_counts(self, log_factor: Array) -> "Distribution":
        """The distribution with the means of counts multiplied by exp(log_factor) [*batch].

        Anything else than unbounded counts is unchanged.
        """
        del log_factor
        return self

    def _flattened(self) -> Self:
        """The same with one event axis: XLA on the CPU vectorizes over no last axis of size 1."""
        arrays = [
            field.name for field in dataclasses.fields(self) if not field.metadata.get("static")
        ]
        flat = {name: one_axis(getattr(self, name), self.event_shape) for name in arrays}
        return dataclasses.replace(self, **flat, event_ndims=1)

    def _assert_event(self, value: Array) -> None:
        """Assert that the trailing axes of the value are the event shape."""
        chex.assert_equal(value.shape[value.ndim - self.event_ndims :], self.event_shape)

    def sample_and_log_prob(self, key: Array, shape: tuple[int, ...] = ()) -> tuple[Array, Array]:
        """A sample ``[*shape, *batch, *event]`` and its log-density ``[*shape, *batch]``, nats.

        Flows override it: the density of a fresh sample is cheaper than the density of any value.
        """
        value = self.sample(key, shape)
        return value, self.log_prob(value)

    def with_temperature(self, temperature: Scalar) -> "Distribution":
        """The same family, narrowed for sampling at a temperature below 1.

        A Gaussian has its standard deviation multiplied by the temperature, a scalar.

        Raises:
          InputError: a temperature of 0 or less; not checked in compiled code.
          UnsupportedError: a family without temperature.
        """
        if not isinstance(temperature, jax.core.Tracer) and not np.all(np.asarray(temperature) > 0):
            raise InputError(
                f"temperature = {format_value(temperature)}: must be greater than 0; "
                "for a representative point use the distribution's center"
            )
        return self._narrow(temperature)

    def _narrow(self, temperature: Scalar) -> "Distribution":
        """`with_temperature` of a temperature above 0."""
        raise UnsupportedError(
            f"temperature = {format_value(temperature)}: {type(self).__name__} has no temperature; "
            "omit it, or use another prior"
        )
