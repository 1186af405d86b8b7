"""Calls of the parts of a model: each gets what it needs, and parts that don't fit are named."""

import jax.numpy as jnp
from flax import linen as nn

from vae_jax.distributions import BatchShaped, Distribution
from vae_jax.errors import InputError
from vae_jax.likelihoods.event import FeatureSizeError
from vae_jax.models.base import Model
from vae_jax.nets.attributes import read_attribute
from vae_jax.priors.base import Encode
from vae_jax.types import Array


def check_input(model: Model, x: Array, observed: Array | None = None) -> None:
    """Raises InputError unless x [B, *E] are floats of the event shape of the likelihood.

    `observed`, if given, must be booleans of the shape of x.
    """
    event = read_attribute(model.likelihood, "event_shape")
    if event is not None and x.shape[1:] != tuple(event):
        sizes = ", ".join(map(str, event))
        raise InputError(
            f"x has shape {x.shape}: must be [B, {sizes}], the event shape of the likelihood "
            f"{_name(model.likelihood)}"
        )
    if not jnp.issubdtype(x.dtype, jnp.floating):
        raise InputError(f"x has dtype {x.dtype}: must be floats in the range of the data")
    if observed is not None and (observed.shape != x.shape or observed.dtype != bool):
        raise InputError(
            f"observed has shape {observed.shape} and dtype {observed.dtype}: must be {x.shape}, "
            "the shape of x, and bool"
        )


def prior_distribution(
    prior: nn.Module, c: Array | None, encode: Encode | None = None
) -> Distribution:
    """p(z) of a prior, or p(z | c) given c [N, C]; called without c if nothing conditions it.

    Only a prior with `needs_encode` is given the model's own encoder.
    """
    options = {"encode": encode} if read_attribute(prior, "needs_encode") else {}
    return prior(**options) if c is None else prior(c, **options)


def check_distribution(part: nn.Module, p: Distribution, role: str) -> None:
    """Raises InputError unless a part returned a distribution."""
    if not hasattr(p, "event_shape"):
        raise InputError(
            f"the {role} {_name(part)} returns {type(p).__name__}: must be a distribution, as "
            "those of vae_jax.distributions"
        )


def check_latents(model: Model, q: Distribution, p: Distribution) -> None:
    """Raises InputError if posterior and prior are over latents of different shapes."""
    check_distribution(model.posterior, q, "posterior")
    check_distribution(model.prior, p, "prior")
    if q.event_shape != p.event_shape:
        raise InputError(
            f"the posterior {_name(model.posterior)} has latents of shape {q.event_shape}, the "
            f"prior {_name(model.prior)} of shape {p.event_shape}: must be equal"
        )


def observe(model: Model, h: Array, lead: tuple[int, ...]) -> Distribution:
    """p(x | z) over [*lead, *E] for features h [N, ...], N = prod(lead).

    The heads of this library lay out `lead` themselves. Any other likelihood gets h alone and
    returns a distribution over [N, *E].

    Raises:
      InputError: the features don't fit the event, or the distribution is over other axes.
    """
    likelihood = model.likelihood
    if read_attribute(likelihood, "takes_lead"):
        try:
            return likelihood(h, lead)
        except FeatureSizeError as error:
            decoder = getattr(model, "decoder", None)
            origin = "the ladder" if decoder is None else f"the decoder {_name(decoder)}"
            raise InputError(
                f"{origin} and the likelihood {_name(likelihood)} don't fit: {error}"
            ) from error
    p = likelihood(h)
    check_distribution(likelihood, p, "likelihood")
    event = read_attribute(likelihood, "event_shape")
    if event is None:  # all axes but the first belong to the event
        event = (*p.batch_shape, *p.event_shape)[1:]
    event = tuple(event)
    if (p.batch_shape, p.event_shape) != (h.shape[:1], event):
        raise InputError(
            f"the likelihood {_name(likelihood)} returns a distribution with batch axes "
            f"{p.batch_shape} and event axes {p.event_shape}: must be {h.shape[:1]} and {event}, "
            f"with event_ndims = {len(event)}"
        )
    return p if lead == h.shape[:1] else BatchShaped(p, lead)


def _name(part: nn.Module | None) -> str:
    return type(part).__name__
