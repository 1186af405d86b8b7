"""Build the model from a config."""

import dataclasses
from collections.abc import Sequence

from flax import linen as nn

from vae_jax import nets, posteriors, priors
from vae_jax.config import Config, ModelConfig
from vae_jax.errors import InputError, prefix_arguments
from vae_jax.experiment.builders import parts
from vae_jax.experiment.builders.auto import resolve_by_name
from vae_jax.experiment.builders.lookup import pick
from vae_jax.experiment.builders.parts import Shape
from vae_jax.likelihoods import REALS
from vae_jax.models import VAE, VQVAE, Hierarchical, Model, Stacked
from vae_jax.models.ladder_levels import Level, map_levels, vector_levels
from vae_jax.models.layered import Layered
from vae_jax.nets.conv import halve_resolution
from vae_jax.nets.units import Units
from vae_jax.posteriors.quantizers import FiniteScalarQuantizer, VectorQuantizer


def build_model(config: Config, event_shape: Shape, units: Units | None = None) -> Model:
    """The model for events of a shape, in units of the data.

    What is 'auto' in the config is chosen by the name of the data; raises InputError if that
    depends on their values, see `auto.resolve`.
    """
    config = resolve_by_name(config, event_shape)
    return pick(KINDS, "model.kind", config.model.kind)(config, event_shape, units)


def _vae(config: Config, event_shape: Shape, units: Units | None) -> VAE:
    c = config.model
    encoder, decoder = parts.networks(c, event_shape)
    return VAE(
        encoder=encoder,
        decoder=decoder,
        posterior=pick(parts.POSTERIORS, "model.posterior", c.posterior)(c),
        prior=_prior(c, event_shape, units),
        likelihood=pick(parts.LIKELIHOODS, "model.likelihood", c.likelihood)(c, event_shape),
        conditioning=pick(parts.CONDITIONINGS, "model.conditioning", c.conditioning)(c),
        condition_prior=c.condition_prior,
        critic=_critic(config),
        classifier=_classifier(config, event_shape),
        regressor=_regressor(config),
        units=units,
        mask_input=c.mask_input,
    )


def _language_model(config: Config, event_shape: Shape, units: Units | None) -> VAE:
    """The decoder of a VAE without latents: its posterior is its prior, and its context constant.

    The rate is zero, the ELBO log p(x), and all else the same.
    """
    c = config.model
    return VAE(
        encoder=nets.Constant(),
        decoder=nets.Constant(),
        posterior=posteriors.StandardNormalHead(1),
        prior=priors.StandardNormal(1),
        likelihood=pick(parts.LIKELIHOODS, "model.likelihood", c.likelihood)(c, event_shape),
        conditioning=pick(parts.CONDITIONINGS, "model.conditioning", c.conditioning)(c),
        units=units,
    )


def _prior(c: ModelConfig, event_shape: Shape, units: Units | None) -> nn.Module:
    """The prior; pseudo-inputs of a VampPrior are what the encoder sees, standardized if x is."""
    prior = pick(parts.PRIORS, "model.prior", c.prior)(c, event_shape)
    if units is None or not isinstance(prior, priors.VampPrior):
        return prior
    low, high = REALS
    return prior.clone(low=low, high=high, event_shape=(*event_shape[:-1], units.num_inputs))


def _vqvae(config: Config, event_shape: Shape, units: Units | None) -> VQVAE:
    c, codes = config.model, config.codes
    if c.network == "resnet":
        parts.check_images(c.network, event_shape)
        _, dtype = parts.activation_and_dtype(c)
        levels, width = len(c.channels), c.channels[-1]
        encoder = nets.ResNetEncoder(width, c.channels[0], num_levels=levels, dtype=dtype)
        decoder = nets.ResNetDecoder(
            event_shape, width, c.channels[0], num_levels=levels, dtype=dtype
        )
        grid = halve_resolution(event_shape[:2], levels)
    else:
        encoder, decoder = parts.networks(c, event_shape)
        grid = tuple(codes.grid)
    quantizer = pick(QUANTIZERS, "codes.quantizer", codes.quantizer)(codes)
    return VQVAE(
        encoder=encoder,
        quantizer=quantizer,
        decoder=decoder,
        likelihood=pick(parts.LIKELIHOODS, "model.likelihood", c.likelihood)(c, event_shape),
        prior=pick(CODE_PRIORS, "codes.prior", codes.prior)(codes, grid, quantizer.num_codes),
        conditioning=pick(parts.CONDITIONINGS, "model.conditioning", c.conditioning)(c),
        condition_prior=c.condition_prior,
        units=units,
        mask_input=c.mask_input,
    )


def _hierarchical(config: Config, event_shape: Shape, units: Units | None) -> Layered:
    make = pick(HIERARCHIES, "hierarchy.networks", config.hierarchy.networks)
    return make(config, event_shape, units)


def _stacked(config: Config, event_shape: Shape, units: Units | None) -> Stacked:
    c, latents = config.model, tuple(config.hierarchy.latents)
    if not latents:
        raise InputError("config.hierarchy.latents = (): must have at least one entry")
    activation, dtype = parts.activation_and_dtype(c)
    return Stacked(
        latents,
        prior=_prior(dataclasses.replace(c, latent_dim=latents[0]), event_shape, units),
        likelihood=pick(parts.LIKELIHOODS, "model.likelihood", c.likelihood)(c, event_shape),
        hidden=tuple(c.hidden),
        gated=c.gated,
        activation=activation,
        dtype=dtype,
        logvar_fn=pick(parts.LOGVARS, "model.posterior_scale", c.posterior_scale),
        conditioning=pick(parts.CONDITIONINGS, "model.conditioning", c.conditioning)(c),
        condition_prior=c.condition_prior,
        classifier=_classifier(config, event_shape),
        units=units,
        mask_input=c.mask_input,
    )


def _ladder(config: Config, event_shape: Shape, units: Units | None) -> Hierarchical:
    c, h = config.model, config.hierarchy
    activation, dtype = parts.activation_and_dtype(c)
    return Hierarchical(
        levels=_levels(config, event_shape),
        likelihood=pick(parts.LIKELIHOODS, "model.likelihood", c.likelihood)(c, event_shape),
        blocks=h.blocks,
        activation=activation,
        dtype=dtype,
        remat=h.remat,
        merge=h.merge,
        conditioning=pick(parts.CONDITIONINGS, "model.conditioning", c.conditioning)(c),
        classifier=_classifier(config, event_shape),
        units=units,
        mask_input=c.mask_input,
    )


def _critic(config: Config) -> nn.Module | None:
    if config.objective.name != "factor":
        return None
    return nets.Critic(tuple(config.objective.critic_hidden))


def _regressor(config: Config) -> nn.Module | None:
    if config.objective.name != "property":
        return None
    return nets.Regressor(tuple(config.objective.regressor_hidden))


def _classifier(config: Config, event_shape: Shape) -> nn.Module | None:
    if config.objective.name != "m2":
        return None
    return nets.Classifier(parts.networks(config.model, event_shape)[0], config.model.num_classes)


def _levels(config: Config, event_shape: Shape) -> tuple[Level, ...]:
    h = config.hierarchy
    if config.model.network != "mlp":
        parts.check_images(config.model.network, event_shape)
    with prefix_arguments("config.hierarchy"):
        if config.model.network == "mlp":
            return vector_levels(h.latents, h.widths)
        latents = _one_or_each(h.latents)
        widths = _one_or_each(h.widths)
        return map_levels(h.stack, event_shape, latents=latents, widths=widths)


def _one_or_each(values: Sequence[int]) -> int | tuple[int, ...]:
    return values[0] if len(values) == 1 else tuple(values)


NETWORK_NAMES = (*parts.NETWORKS, "resnet")
QUANTIZERS = {
    "vq": lambda codes: VectorQuantizer(codes.num_codes, codes.code_dim, codes.ema),
    "fsq": lambda codes: FiniteScalarQuantizer(tuple(codes.levels)),
}
CODE_PRIORS = {
    "uniform": lambda codes, grid, num: priors.UniformCodes(grid, num),
    "pixelcnn": lambda codes, grid, num: priors.PixelCNNCodes(
        grid, num, codes.prior_features, codes.prior_layers
    ),
}
HIERARCHIES = {"ladder": _ladder, "separate": _stacked}
KINDS = {
    "vae": _vae,
    "vq": _vqvae,
    "hierarchical": _hierarchical,
    "language_model": _language_model,
}
