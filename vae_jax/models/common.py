"""Shared by all models: units, conditions, temperatures, capabilities."""

import functools
import typing

import jax
import jax.numpy as jnp
from flax import linen as nn

from vae_jax.distributions import Distribution
from vae_jax.errors import InputError, UnsupportedError, check_choice
from vae_jax.models.base import Capability
from vae_jax.nets.attributes import read_attribute
from vae_jax.nets.units import Units
from vae_jax.types import Array, Scalar


def network_input(model: nn.Module, x: Array, observed: Array | None = None) -> Array:
    """The input of networks for x [..., *E]: standardized if the model has `units`.

    It is 0 at missing values. With `mask_input`, the mask follows x on the last axis: 1 at observed
    values, and at all without `observed`.
    """
    units: Units | None = model.units
    inputs = x if units is None else units.encode(x)
    if observed is not None:
        inputs = jnp.where(observed if units is None else units.repeat(observed), inputs, 0)
    return with_mask(model, inputs, jnp.ones(x.shape, bool) if observed is None else observed)


def with_mask(model: nn.Module, inputs: Array, observed: Array) -> Array:
    """Inputs [..., C] and, for a model with `mask_input`, the mask [..., C'] after them.

    The result is then [..., C + C'].
    """
    if not model.mask_input:
        return inputs
    return jnp.concatenate([inputs, observed.astype(inputs.dtype)], axis=-1)


def pseudo_input(model: nn.Module, inputs: Array) -> Array:
    """Network inputs [M, ...] with a mask after them, if networks see it: all are observed."""
    event = read_attribute(model.likelihood, "event_shape") or inputs.shape[1:]
    return with_mask(model, inputs, jnp.ones((len(inputs), *event), bool))


def in_units(model: nn.Module, p: Distribution, c: Array | None) -> Distribution:
    """The distribution p(x | z) in the units of the data, from what the likelihood returns.

    If the condition c [..., C] has a size factor, the means of counts are multiplied by it.
    """
    if c is not None and read_attribute(model.conditioning, "has_size"):
        p = p.scale_counts(jnp.broadcast_to(c[..., 0], p.batch_shape))
    return p if model.units is None else model.units.scale_density(p)


def log_px_z(
    p: Distribution, x: Array, observed: Array | None, history: Array | None = None
) -> Array:
    """The log-density of the observed values of x [B, *E] under p(x | z).

    With a `history` [B, *E] an autoregressive p(x | z) sees it as the past, in place of x; 0 at
    missing values.
    """
    if history is not None:
        seen = history if observed is None else jnp.where(observed, history, 0)
        p = p.given_history(seen)
    return p.observed_log_prob(x, observed)


def condition(model: nn.Module, y: Array | None, lead: tuple[int, ...]) -> Array | None:
    """The condition c [..., C] of y for a model with `conditioning`, None for one without.

    The shape of the y's, [...], must broadcast to `lead`.

    Raises:
      ValueError: a conditional model without y, or y for an unconditional model.
      InputError: y of another number of examples.
    """
    if model.conditioning is None:
        if y is not None:
            raise ValueError(
                "y was given to a model without conditioning, which would ignore it; omit y"
            )
        return None
    if y is None:
        if not model.is_initializing():
            raise ValueError("a conditional model needs y [B] or [B, C]: what to condition on")
        y = model.conditioning.example(lead[-1])
    c = model.conditioning(y)
    sizes = zip(reversed(c.shape[:-1]), reversed(lead), strict=False)
    if c.ndim - 1 > len(lead) or any(size not in (1, other) for size, other in sizes):
        raise InputError(
            f"y has the leading axes {c.shape[:-1]}: must be {tuple(lead)}, one for each example"
        )
    return c


def network_condition(model: nn.Module, c: Array | None) -> Array | None:
    """The part of the condition c [..., C] that networks and priors see: all but a size factor."""
    if c is None or not read_attribute(model.conditioning, "has_size"):
        return c
    return c[..., 1:]


def condition_rows(c: Array | None, lead: tuple[int, ...]) -> Array | None:
    """The condition c [..., C] of each row of a flattened z: [N, C], N the product of lead."""
    return None if c is None else jnp.broadcast_to(c, (*lead, c.shape[-1])).reshape(-1, c.shape[-1])


def at_temperature(p: Distribution, temperature: Scalar | None) -> Distribution:
    """The prior at a temperature, a positive scalar; unchanged for None.

    Raises:
      UnsupportedError: the distribution has no temperature.
    """
    return p if temperature is None else p.with_temperature(temperature)


def sample_prior(p: Distribution, key: Array, num_samples: int) -> Array:
    """Draws [num_samples, *event] of a prior over [*event] or [num_samples, *event]."""
    return p.sample(key, (num_samples,) if p.batch_shape == () else ())


def supports(
    model: nn.Module, capability: Capability, missing: tuple[Capability, ...] = ()
) -> bool:
    """True if a model has a capability: not a missing one, and a temperature if its prior does."""
    check_choice("capability", capability, typing.get_args(Capability))
    if capability in missing:
        return False
    return capability != "temperature" or _has_temperature(model)


def _has_temperature(model: nn.Module) -> bool:
    """Trace `generate` at a temperature, without parameters."""
    generate = functools.partial(
        model.init_with_output, num_samples=1, temperature=1.0, method="generate"
    )
    key = jax.random.key(0)
    try:
        jax.eval_shape(generate, key, key)
    except UnsupportedError:
        return False
    return True
