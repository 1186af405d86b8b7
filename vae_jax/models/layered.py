"""Models with several stochastic layers: all that follows from their two passes."""

from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from vae_jax.distributions import (
    DiagGaussian,
    Distribution,
    SideBySide,
    has_closed_form_kl,
    kl_divergence,
)
from vae_jax.errors import InputError
from vae_jax.models import common, parts
from vae_jax.models.base import Capability
from vae_jax.models.descent import Descent
from vae_jax.types import Array, Outputs, Scalar


class Evidence(NamedTuple):
    """The result of one pass of the encoder."""

    features: tuple[Array, ...]  # [B, ...] of each layer or level, the top first
    c: Array | None  # [B, C]
    observed: Array | None = None  # [B, *E]
    top_prior: Distribution | None = None  # over [D_1] or [B, D_1]; None: the path has it


class Layered(nn.Module):
    """p(x, z) = p(x | z) prod_l p(z_l | z_<l) with q(z | x) = prod_l q(z_l | z_<l, x), top down.

    The base class of hierarchies. A subclass has `layers` and the parts of a `Model`, and sets up
    two networks: ``bottom_up(inputs, c)`` returns features of x, and ``top_down(rows, c, choose,
    features)`` a `Descent`, without posteriors if features are not given.

    All layers share the axis D, the top first. Below the top, p and q of a layer are Gaussians that
    depend on the draws above it. `Outputs.kl` is the mean over the draws of the sum of closed-form
    KLs, or None if that of the top layer has no closed form. y conditions everything.
    """

    def _top_prior(self, c: Array | None) -> Distribution | None:
        """p(z) of the top layer, over [D_1] or [B, D_1]; None if `top_down` has it."""
        return None

    def encode(
        self, x: Array, *, y: Array | None = None, observed: Array | None = None
    ) -> DiagGaussian:
        """Each layer's posterior given the posterior means above it, for x [B, *E]; over [B, D]."""
        features, c, *_ = self.infer(x, y=y, observed=observed)
        seen = common.network_condition(self, c)
        path = self.top_down(x.shape[0], seen, lambda number, p, q: q.mean, features)
        return _side_by_side(path.posteriors, x.shape[:1])

    def decode(self, z: Array, *, y: Array | None = None) -> Distribution:
        """p(x | z) for z [*lead, D], over [*lead, *E]; the shape of y is a tail of lead."""
        lead = z.shape[:-1]
        c = common.condition(self, y, lead)
        return self._observe(self._follow(z, c).h, lead, c)

    def generate(
        self,
        key: Array,
        num_samples: int,
        *,
        y: Array | None = None,
        temperature: Scalar | Array | None = None,
    ) -> Distribution:
        """p(x | z) at `num_samples` draws of z from the prior, over [num_samples, *E].

        `y` [num_samples] or [num_samples, C] is for a conditional model. `temperature` below 1
        narrows the prior of each layer: one number, or one per layer from the top down.
        """
        c = common.condition(self, y, (num_samples,))
        path = self._sample(key, num_samples, c, temperature)
        return self._observe(path.h, (num_samples,), c)

    def sample_prior(
        self,
        key: Array,
        num_samples: int,
        *,
        y: Array | None = None,
        temperature: Scalar | Array | None = None,
    ) -> Array:
        """Draws z [num_samples, D] of the prior; arguments as for `generate`."""
        c = common.condition(self, y, (num_samples,))
        return jnp.concatenate(self._sample(key, num_samples, c, temperature).z, axis=-1)

    def __call__(
        self,
        x: Array,
        key: Array,
        *,
        y: Array | None = None,
        num_samples: int = 1,
        inputs: Array | None = None,
        observed: Array | None = None,
        history: Array | None = None,
    ) -> Outputs:
        """The terms of the bound for x [B, *E] with K = `num_samples` draws of z each.

        `inputs` [B, *E] replaces x as the input of the encoder: a corrupted copy, for denoising.
        With `observed` [B, *E] the bound is one of the observed values, log p(x_observed).
        `history` [B, *E] replaces x as the past that an autoregressive p(x | z) sees.
        """
        if inputs is not None:
            chex.assert_equal_shape([x, inputs])
        if self.is_initializing() and self.classifier is not None:
            self.classify(x)
        evidence = self.infer(x if inputs is None else inputs, y=y, observed=observed)
        return self.outputs(evidence, x, key, num_samples=num_samples, history=history)

    def infer(self, x: Array, *, y: Array | None = None, observed: Array | None = None) -> Evidence:
        """One pass of the encoder for x [B, *E], for any number of draws by `outputs`."""
        parts.check_input(self, x, observed)
        c = common.condition(self, y, x.shape[:1])
        inputs = common.network_input(self, x, observed)
        features = self.bottom_up(inputs, common.network_condition(self, c))
        return Evidence(features, c, observed, self._top_prior(c))

    def outputs(
        self,
        inferred: Evidence,
        x: Array,
        key: Array,
        *,
        num_samples: int = 1,
        history: Array | None = None,
    ) -> Outputs:
        """The terms of the bound at K = `num_samples` draws of z for each x [B, *E]."""
        lead = (num_samples, x.shape[0])
        keys = jax.random.split(key, len(self.layers))

        def draw(number: int, p: DiagGaussian, q: DiagGaussian) -> Array:
            z = q.sample(keys[number], () if number else (num_samples,))
            return z.reshape(-1, self.layers[number])

        seen = common.network_condition(self, inferred.c)
        path = self.top_down(x.shape[0], seen, draw, inferred.features)
        q = _side_by_side(path.posteriors, lead)
        p = _side_by_side(_priors(path, inferred.top_prior), lead)
        z = jnp.concatenate(path.z, axis=-1).reshape(*lead, -1)
        p_x = self._observe(path.h, lead, inferred.c)
        return Outputs(
            log_px_z=common.log_px_z(p_x, x, inferred.observed, history),
            log_pz=p.log_prob(z),
            log_qz_x=q.log_prob(z),
            kl=kl_divergence(q, p).mean(0) if has_closed_form_kl(q, p) else None,
            z=z,
            posterior=q,
            prior=p,
            layers=self.layers,
        )

    def log_joint(
        self, x: Array, z: Array, *, y: Array | None = None, observed: Array | None = None
    ) -> tuple[Array, Array]:
        """The terms log p(z) and log p(x | z), each [K, B], at any z [K, B, D] for x [B, *E]."""
        lead = z.shape[:-1]
        c = common.condition(self, y, x.shape[:1])
        path = self._follow(z, c)
        log_pz = _side_by_side(_priors(path, self._top_prior(c)), lead).log_prob(z)
        return log_pz, self._observe(path.h, lead, c).observed_log_prob(x, observed)

    def _observe(self, h: Array, lead: tuple[int, ...], c: Array | None) -> Distribution:
        """p(x | z) over [*lead, *E], from the last features of the path."""
        return common.in_units(self, parts.observe(self, h, lead), c)

    def classify(self, x: Array, *, observed: Array | None = None) -> Array:
        """The logits of q(y | x), [N, num_classes], for x [N, *E]."""
        return self.classifier(common.network_input(self, x, observed))

    def _follow(self, z: Array, c: Array | None) -> Descent:
        """The path with these z [*lead, D], for c [..., C] that broadcasts to lead."""
        chex.assert_axis_dimension(z, -1, sum(self.layers))
        c = common.condition_rows(common.network_condition(self, c), z.shape[:-1])
        z = z.reshape(-1, z.shape[-1])
        latents = jnp.split(z, np.cumsum(self.layers)[:-1], axis=-1)
        return self.top_down(z.shape[0], c, lambda number, p, q: latents[number])

    def _sample(
        self, key: Array, num: int, c: Array | None, temperature: Scalar | Array | None
    ) -> Descent:
        """The path with each z from the prior of its layer."""
        keys, top = jax.random.split(key, len(self.layers)), self._top_prior(c)
        temperatures = self._temperatures(temperature)

        def draw(number: int, p: DiagGaussian | None, q: DiagGaussian | None) -> Array:
            prior: Distribution = p if number or top is None else top
            if temperatures is not None:
                prior = prior.with_temperature(temperatures[number])
            return common.sample_prior(prior, keys[number], num)

        return self.top_down(num, common.network_condition(self, c), draw)

    def _temperatures(self, temperature: Scalar | Array | None) -> Array | None:
        """The temperature of each layer, [L]."""
        if temperature is None:
            return None
        temperatures, shape = jnp.asarray(temperature, jnp.float32), (len(self.layers),)
        if temperatures.shape not in ((), shape):
            raise InputError(
                f"temperature has shape {temperatures.shape}: must be one number, or one for "
                f"each of the {len(self.layers)} layers"
            )
        return jnp.broadcast_to(temperatures, shape)

    @nn.nowrap
    def supports(self, capability: Capability) -> bool:
        """True if the model has the capability, see `vae_jax.models.base`."""
        return common.supports(self, capability, missing=("flat_posterior",))


def _priors(path: Descent, top: Distribution | None) -> list[Any]:
    """The prior of each layer."""
    return path.priors if top is None else [top, *path.priors[1:]]


def _side_by_side(layers: list[Any], lead: tuple[int, ...]) -> Any:
    """Distributions over [N_l, D_l] as one over [*lead, D], a Gaussian if all are.

    N_l is the product of lead, or of lead[1:] if all draws share one. A top prior may be over
    [D_1], and one that is not Gaussian over [lead[-1], D_1].
    """
    if all(isinstance(p, DiagGaussian) for p in layers):
        return _join(layers, lead)
    blocks = (_join([p], lead) if isinstance(p, DiagGaussian) else p for p in layers)
    return SideBySide(tuple(blocks))


def _join(gaussians: list[DiagGaussian], lead: tuple[int, ...]) -> DiagGaussian:
    """Gaussians over [N_l, D_l] or [D_l] as one over [*lead, D]."""

    def join(arrays: list[Array]) -> Array:
        arrays = [a if a.ndim == 1 else a.reshape(-1, *lead[1:], a.shape[-1]) for a in arrays]
        return jnp.concatenate([jnp.broadcast_to(a, (*lead, a.shape[-1])) for a in arrays], axis=-1)

    return DiagGaussian(join([q.mean for q in gaussians]), join([q.logvar for q in gaussians]))
