"""From a config to its parts. The only place where a string becomes a part: one plain table for each role."""

import logging
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn

from vae_jax import corruptions, likelihoods, nets, posteriors, priors, schedules
from vae_jax import data as data_lib
from vae_jax.config import Config, Model, Objective
from vae_jax.corruptions import Corruption
from vae_jax.data import Dataset
from vae_jax.errors import InputError, check_choice
from vae_jax.models import VAE
from vae_jax.objectives import elbo, make_loss_fn, reconstruction
from vae_jax.types import LossFn, Scalar, Schedule

logger = logging.getLogger(__name__)

ACTIVATIONS = {"relu": nn.relu, "gelu": nn.gelu, "silu": nn.silu, "tanh": nn.tanh}
DTYPES = {"float32": jnp.float32, "bfloat16": jnp.bfloat16}
LOGVARS = {"bounded": posteriors.bounded_logvar, "softplus": posteriors.softplus_logvar}
CORRUPTIONS: dict[str, Callable[[float], Corruption | None]] = {
    "none": lambda level: None,
    "gaussian": corruptions.gaussian_noise,
    "masking": corruptions.masking,
    "salt_and_pepper": corruptions.salt_and_pepper,
}
PRIORS = {"standard_normal": priors.StandardNormal}
POSTERIORS: dict[str, Callable[[Model], nn.Module]] = {
    "diag_gaussian": lambda c: posteriors.DiagGaussianHead(
        c.latent_dim, pick(LOGVARS, "model.posterior_scale", c.posterior_scale)
    ),
    "deterministic": lambda c: posteriors.DeterministicHead(c.latent_dim),
}
GAUSSIANS: dict[str, Callable[[Model, tuple[int, ...]], nn.Module]] = {
    "fixed": lambda c, e: likelihoods.Gaussian(e, c.init_sigma),
    "scalar": lambda c, e: likelihoods.LearnedGaussian(e, (), c.init_sigma),
    "channel": lambda c, e: likelihoods.LearnedGaussian(e, e[-1:], c.init_sigma),
    "pixel": lambda c, e: likelihoods.LearnedGaussian(e, e, c.init_sigma),
    "predicted": lambda c, e: likelihoods.PredictedGaussian(e),
}
LIKELIHOODS: dict[str, Callable[[Model, tuple[int, ...]], nn.Module]] = {
    "bernoulli": lambda c, e: likelihoods.Bernoulli(e),
    "gaussian": lambda c, e: pick(GAUSSIANS, "model.sigma", c.sigma)(c, e),
    "optimal_gaussian": lambda c, e: likelihoods.OptimalGaussian(e),
}
NETWORKS: dict[str, Callable[[Model, tuple[int, ...], Callable, Any], tuple[nn.Module, nn.Module]]] = {
    "mlp": lambda c, e, act, dtype: (nets.MLP(tuple(c.hidden), act, dtype), nets.MLP(tuple(c.hidden[::-1]), act, dtype)),
    "conv": lambda c, e, act, dtype: (
        nets.ConvEncoder(tuple(c.channels), tuple(c.hidden), act, dtype),
        nets.ConvDecoder(e, tuple(c.channels[::-1]), tuple(c.hidden[::-1]), act, dtype),
    ),
    "burgess": lambda c, e, act, dtype: (nets.burgess_encoder(dtype=dtype), nets.burgess_decoder(e, dtype=dtype)),
}
BETAS: dict[str, Callable[[Objective], Schedule]] = {
    "constant": lambda c: schedules.constant(c.beta),
    "linear": lambda c: schedules.linear(c.beta_start, c.beta, c.beta_steps),
    "sigmoid": lambda c: schedules.sigmoid(c.beta_start, c.beta, c.beta_steps),
    "cyclical": lambda c: schedules.cyclical(c.beta_start, c.beta, c.beta_steps, num_cycles=c.beta_cycles),
}
OBJECTIVES = {"elbo": elbo, "reconstruction": reconstruction}
OPTIMIZERS = {"adam": optax.adam, "adamw": optax.adamw, "adamax": optax.adamax}
LEARNING_RATES: dict[str, Callable[[float, int], Schedule]] = {
    "constant": lambda peak, num_steps: schedules.constant(peak),
    "cosine": schedules.cosine,
    "linear": lambda peak, num_steps: schedules.linear(peak, 0.0, num_steps),
}


def pick(table: Mapping[str, Any], field: str, name: str) -> Any:
    """The entry of that name, or InputError with the field and the names there are."""
    return table[check_choice(f"config.{field}", name, table)]


def check_names(config: Config) -> None:
    """Raises InputError for the first name that no part has, before any data are read."""
    for field, table in (
        ("data.binarization", data_lib.BINARIZATIONS),
        ("model.network", NETWORKS),
        ("model.activation", ACTIVATIONS),
        ("model.dtype", DTYPES),
        ("model.posterior", POSTERIORS),
        ("model.posterior_scale", LOGVARS),
        ("model.prior", PRIORS),
        ("model.likelihood", LIKELIHOODS),
        ("model.sigma", GAUSSIANS),
        ("objective.name", OBJECTIVES),
        ("objective.beta_schedule", BETAS),
        ("objective.corruption", CORRUPTIONS),
        ("optimizer.name", OPTIMIZERS),
        ("optimizer.schedule", LEARNING_RATES),
    ):
        group, name = field.split(".")
        check_choice(f"config.{field}", getattr(getattr(config, group), name), table)


def build_data(config: Config) -> Dataset:
    """The data set, checked against batch size and likelihood."""
    c = config.data
    options = {"binarization": c.binarization, "valid_fraction": c.valid_fraction, "streaming": c.streaming}
    dataset = data_lib.load(c.name, dir=c.dir, path=c.path, **options)
    batch_size = config.train.batch_size
    if batch_size > dataset.train.num_examples:
        raise InputError(
            f"config.train.batch_size = {batch_size}: larger than the data, {dataset.train.num_examples} training examples"
        )
    likelihood = pick(LIKELIHOODS, "model.likelihood", config.model.likelihood)(config.model, dataset.shape)
    low, high = likelihood.support
    value_range = dataset.train.value_range
    if value_range[0] < low or value_range[1] > high:
        raise InputError(
            f"config.model.likelihood = {config.model.likelihood!r}: needs values from {low:g} to {high:g}, but {dataset.name} "
            f"has {value_range[0]:g} to {value_range[1]:g}; scale the data, store them as integers 0 to 255, or take 'gaussian'"
        )
    if likelihood.binary and not dataset.preparation["binary"]:
        logger.warning(
            "config.data.binarization = 'none': a %s likelihood of values between 0 and 1 is not a normalised density; its "
            "ELBO compares with no other (binarize, or take 'gaussian')",
            config.model.likelihood,
        )
    return dataset


def build_model(config: Config, event_shape: tuple[int, ...]) -> VAE:
    """The model for events of that shape."""
    c = config.model
    encoder, decoder = _networks(c, event_shape)
    return VAE(
        encoder=encoder,
        decoder=decoder,
        posterior=pick(POSTERIORS, "model.posterior", c.posterior)(c),
        prior=pick(PRIORS, "model.prior", c.prior)(c.latent_dim),
        likelihood=pick(LIKELIHOODS, "model.likelihood", c.likelihood)(c, event_shape),
    )


def build_loss(config: Config, model: VAE) -> LossFn:
    """The loss function, with its schedules."""
    c = config.objective
    objective = pick(OBJECTIVES, "objective.name", c.name)
    if c.name == "elbo" and config.model.posterior == "deterministic":
        raise InputError(
            "config.objective.name = 'elbo': a deterministic posterior has an infinite rate; take objective 'reconstruction', "
            "or posterior 'diag_gaussian'"
        )
    hyper_parameters: dict[str, Any] = {}
    if c.name == "elbo":
        hyper_parameters["beta"] = pick(BETAS, "objective.beta_schedule", c.beta_schedule)(c)
        if is_on(c.free_bits):
            hyper_parameters["free_bits"] = c.free_bits
        if is_on(c.capacity):
            hyper_parameters["capacity"] = schedules.linear(0.0, c.capacity, c.capacity_steps)
    return make_loss_fn(model, objective, num_samples=c.num_samples, corruption=build_corruption(config), **hyper_parameters)


def build_corruption(config: Config) -> Corruption | None:
    """What a denoising model does to its input, or None."""
    c = config.objective
    return pick(CORRUPTIONS, "objective.corruption", c.corruption)(c.corruption_level)


def build_optimizer(config: Config) -> optax.GradientTransformation:
    """Clipping, then the optimizer under its learning-rate schedule."""
    c = config.optimizer
    make_rate = pick(LEARNING_RATES, "optimizer.schedule", c.schedule)
    rate = make_rate(c.learning_rate, config.train.num_steps - c.warmup_steps)
    if is_on(c.warmup_steps):
        rate = schedules.warmed_up(rate, c.learning_rate, c.warmup_steps)
    options = {"weight_decay": c.weight_decay} if c.name == "adamw" else {}
    tx = pick(OPTIMIZERS, "optimizer.name", c.name)(rate, **options)
    if not is_on(c.clip_norm):
        return optax.chain(optax.identity(), tx)  # a state of the same structure: of the lanes of a sweep, some may clip
    max_norm = jnp.where(c.clip_norm > 0, c.clip_norm, jnp.inf)
    return optax.chain(optax.clip_by_global_norm(max_norm), tx)


def is_on(value: Scalar) -> bool:
    """Whether a hyper-parameter for which 0 is off is on: one that is traced, and so differs between lanes, always is."""
    return isinstance(value, jax.Array) or value > 0


def _networks(c: Model, event_shape: tuple[int, ...]) -> tuple[nn.Module, nn.Module]:
    network = pick(NETWORKS, "model.network", c.network)
    if c.network != "mlp" and len(event_shape) != 3:
        raise InputError(f"config.model.network = {c.network!r}: needs images [H, W, C], but the data are {event_shape}")
    if c.network == "burgess" and event_shape[:2] != (64, 64):
        raise InputError(f"config.model.network = 'burgess': needs 64x64 images, but the data are {event_shape}")
    activation, dtype = pick(ACTIVATIONS, "model.activation", c.activation), pick(DTYPES, "model.dtype", c.dtype)
    return network(c, event_shape, activation, dtype)
