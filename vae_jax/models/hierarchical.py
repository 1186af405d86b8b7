"""The hierarchical VAE: a ladder of stochastic layers, inferred from the top down."""

from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from vae_jax.distributions import DiagGaussian, Distribution, kl_divergence
from vae_jax.errors import InputError, check_choice
from vae_jax.models import common, parts
from vae_jax.models.base import Capability
from vae_jax.models.ladder_levels import Level
from vae_jax.models.ladder_path import MERGES, BottomUp, Choose, Descent, Merge, TopDown
from vae_jax.nets.residual import Style
from vae_jax.nets.units import Units
from vae_jax.types import Array, Outputs, Scalar


class Evidence(NamedTuple):
    """The result of one pass of the encoder."""

    features: tuple[Array, ...]  # [B, *grid, width] of each level, the top first
    c: Array | None  # [B, C]
    observed: Array | None = None  # [B, *E]


class Hierarchical(nn.Module):
    """p(x, z) = p(x | z) prod_l p(z_l | z_<l) with q(z | x) = prod_l q(z_l | z_<l, x), top down.

    Prior and posterior share the path from the top. A state takes in one z_l after the other, and
    each prior is a function of the state. Each posterior is a function of the state and of features
    of x at the same level, so that inference corrects the prior. In residual form it carries many
    layers (Child, 2021, arXiv:2011.10650).

    That idea is the ladder VAE's (Sonderby et al., 2016, arXiv:1602.02282), but its merge is not
    the default: with `merge` "learned", a network of state and features predicts the posterior.
    With "precision" it is theirs: features alone predict a Gaussian, which is multiplied by the
    prior, so that means are weighted by precisions; the top layer's is not multiplied.

    All layers share the axis D, the top first. Each layer's Gaussians depend on
    the draws above it: `Outputs.kl` is the mean over the draws of the sum of their closed-form KLs.
    y conditions everything, p(z | y) included.
    """

    levels: tuple[Level, ...]  # top first, see `vector_levels` and `map_levels`
    likelihood: nn.Module  # h -> p(x | z)
    blocks: int = 1  # residual blocks after each stochastic layer
    activation: Callable[[Array], Array] = nn.relu
    dtype: Any = None  # dtype of compute and features, see `vae_jax.nets`
    remat: bool = False  # recompute residual blocks in the backward pass: less memory, more time
    merge: Merge = "learned"  # merge of features of x and the prior: learned, or precision-weighted
    conditioning: nn.Module | None = None  # y [B] or [B, C] -> c [B, C]
    classifier: nn.Module | None = None  # x [N, *E] -> h, for the semi-supervised M2
    units: Units | None = None  # scale of x; without units, networks see x unchanged
    mask_input: bool = False  # True if networks see the mask of observed values too
    posterior: ClassVar[None] = None  # inference and prior share parameters
    prior: ClassVar[None] = None
    critic: ClassVar[None] = None
    regressor: ClassVar[None] = None
    condition_prior: ClassVar[bool] = True

    @property
    def layers(self) -> tuple[int, ...]:
        """Dimensions D_l of each stochastic layer, the top first."""
        return tuple(level.latent_dim for level in self.levels for _ in range(level.layers))

    def setup(self) -> None:
        depth = len(self.layers) * self.blocks
        style = Style(self.activation, self.dtype, self.blocks, depth, self.remat)
        check_choice("merge", self.merge, MERGES)
        self.bottom_up = BottomUp(self.levels, style)
        self.top_down = TopDown(self.levels, style, self.merge)

    def encode(
        self, x: Array, *, y: Array | None = None, observed: Array | None = None
    ) -> DiagGaussian:
        """Each layer's posterior given the posterior means above it, for x [B, *E]; over [B, D]."""
        features, c, _ = self.infer(x, y=y, observed=observed)
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
        return Evidence(features, c, observed)

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
        p = _side_by_side(path.priors, lead)
        z = jnp.concatenate(path.z, axis=-1).reshape(*lead, -1)
        p_x = self._observe(path.h, lead, inferred.c)
        return Outputs(
            log_px_z=common.log_px_z(p_x, x, inferred.observed, history),
            log_pz=p.log_prob(z),
            log_qz_x=q.log_prob(z),
            kl=kl_divergence(q, p).mean(0),
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
        log_pz = _side_by_side(path.priors, lead).log_prob(z)
        return log_pz, self._observe(path.h, lead, c).observed_log_prob(x, observed)

    def _observe(self, h: Array, lead: tuple[int, ...], c: Array | None) -> Distribution:
        """p(x | z) over [*lead, *E], from the last state of the path."""
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
        return self.top_down(
            num, common.network_condition(self, c), self._prior_sampler(key, temperature)
        )

    def _prior_sampler(self, key: Array, temperature: Scalar | Array | None) -> Choose:
        keys = jax.random.split(key, len(self.layers))
        temperatures: Any = None
        if temperature is not None:
            temperatures = jnp.asarray(temperature, jnp.float32)
            if temperatures.shape not in ((), keys.shape):
                raise InputError(
                    f"temperature has shape {temperatures.shape}: must be one number, or one for "
                    f"each of the {len(keys)} layers"
                )
            temperatures = jnp.broadcast_to(temperatures, keys.shape)

        def draw(number: int, p: Distribution, q: DiagGaussian | None) -> Array:
            if temperatures is not None:
                p = p.with_temperature(temperatures[number])
            return p.sample(keys[number])

        return draw

    @nn.nowrap
    def supports(self, capability: Capability) -> bool:
        """True if the model has the capability, see `vae_jax.models.base`."""
        return common.supports(self, capability, missing=("flat_posterior",))


def _side_by_side(gaussians: list[DiagGaussian], lead: tuple[int, ...]) -> DiagGaussian:
    """Gaussians over [N_l, D_l] as one over [*lead, D].

    N_l is the product of lead, or of lead[1:] if all draws share one.
    """

    def join(arrays: list[Array]) -> Array:
        arrays = [a.reshape(-1, *lead[1:], a.shape[-1]) for a in arrays]
        return jnp.concatenate([jnp.broadcast_to(a, (*lead, a.shape[-1])) for a in arrays], axis=-1)

    return DiagGaussian(join([q.mean for q in gaussians]), join([q.logvar for q in gaussians]))
