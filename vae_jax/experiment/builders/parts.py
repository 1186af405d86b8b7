"""The parts of a model by name: one table per role."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from flax import linen as nn

from vae_jax import likelihoods, nets, posteriors, priors
from vae_jax.config import ModelConfig
from vae_jax.config.model import SEQUENCE_NETWORKS
from vae_jax.errors import InputError
from vae_jax.experiment.builders.lookup import pick

Shape = tuple[int, ...]

ACTIVATIONS = {
    "relu": nn.relu,
    "gelu": nn.gelu,
    "silu": nn.silu,
    "tanh": nn.tanh,
    "softplus": nn.softplus,
}
DTYPES = {"float32": jnp.float32, "bfloat16": jnp.bfloat16}
LOGVARS = {"bounded": posteriors.bounded_logvar, "softplus": posteriors.softplus_logvar}
CONDITIONINGS: dict[str, Callable[[ModelConfig], nn.Module | None]] = {
    "none": lambda c: None,
    "label": lambda c: nets.OneHot(c.num_classes),
    "vector": lambda c: nets.Vector(c.num_classes),
    "size": lambda c: nets.SizeFactor(c.num_classes),
}
POSTERIORS: dict[str, Callable[[ModelConfig], nn.Module]] = {
    "diag_gaussian": lambda c: posteriors.DiagGaussianHead(
        c.latent_dim, pick(LOGVARS, "model.posterior_scale", c.posterior_scale)
    ),
    "full_gaussian": lambda c: posteriors.FullGaussianHead(c.latent_dim),
    "student_t": lambda c: posteriors.StudentTHead(c.latent_dim),
    "planar": lambda c: posteriors.PlanarHead(c.latent_dim, c.posterior_flows),
    "iaf": lambda c: posteriors.InverseAutoregressiveHead(
        c.latent_dim, c.posterior_flows, c.posterior_width
    ),
    "sylvester": lambda c: posteriors.SylvesterHead(
        c.latent_dim, c.posterior_flows, min(c.posterior_width, c.latent_dim)
    ),
    "gumbel_softmax": lambda c: posteriors.GumbelSoftmaxHead(
        c.latent_dim, c.categories, c.temperature
    ),
    "deterministic": lambda c: posteriors.DeterministicHead(c.latent_dim),
}
PRIORS: dict[str, Callable[[ModelConfig, Shape], nn.Module]] = {
    "standard_normal": lambda c, e: priors.StandardNormal(c.latent_dim),
    "diag_gaussian": lambda c, e: priors.LearnedDiagonal(c.latent_dim),
    "mixture": lambda c, e: priors.Mixture(c.latent_dim, c.prior_components),
    "vamp": lambda c, e: priors.VampPrior(
        e, c.prior_components, *_pseudo_range(c, e), num_condition=_condition_size(c)
    ),
    "coupling": lambda c, e: priors.CouplingPrior(c.latent_dim, c.prior_flows, c.prior_width),
    "autoregressive": lambda c, e: priors.AutoregressivePrior(
        c.latent_dim, c.prior_flows, c.prior_width
    ),
    "uniform": lambda c, e: priors.UniformCategorical(c.latent_dim, c.categories),
}


def _sigma_table(
    fixed: Callable, learned: Callable, predicted: Callable
) -> dict[str, Callable[[ModelConfig, Shape], nn.Module]]:
    """The likelihoods of a family by how their sigma is determined, see `ModelConfig.sigma`."""
    return {
        "fixed": lambda c, e: fixed(e, c.init_sigma),
        "scalar": lambda c, e: learned(e, (), c.init_sigma),
        "channel": lambda c, e: learned(e, e[-1:], c.init_sigma),
        "pixel": lambda c, e: learned(e, e, c.init_sigma),
        "predicted": lambda c, e: predicted(e),
    }


GAUSSIANS = _sigma_table(
    likelihoods.Gaussian, likelihoods.LearnedGaussian, likelihoods.PredictedGaussian
)
LAPLACES = _sigma_table(
    likelihoods.Laplace, likelihoods.LearnedLaplace, likelihoods.PredictedLaplace
)
LIKELIHOODS: dict[str, Callable[[ModelConfig, Shape], likelihoods.Likelihood]] = {
    "bernoulli": lambda c, e: likelihoods.Bernoulli(e),
    "continuous_bernoulli": lambda c, e: likelihoods.ContinuousBernoulli(e),
    "gaussian": lambda c, e: pick(GAUSSIANS, "model.sigma", c.sigma)(c, e),
    "optimal_gaussian": lambda c, e: likelihoods.OptimalGaussian(e),
    "laplace": lambda c, e: pick(LAPLACES, "model.sigma", c.sigma)(c, e),
    "student_t": lambda c, e: likelihoods.StudentT(e, c.df, c.init_df),
    "discretized_logistic": lambda c, e: likelihoods.DiscretizedLogistic(e, _levels(c)),
    "logistic_mixture": lambda c, e: likelihoods.DiscretizedLogisticMixture(
        e, _levels(c), c.mixtures
    ),
    "categorical": lambda c, e: likelihoods.Categorical(e, _levels(c)),
    "beta_binomial": lambda c, e: likelihoods.BetaBinomial(e, _levels(c)),
    "negative_binomial": lambda c, e: likelihoods.NegativeBinomial(e),
    "poisson": lambda c, e: likelihoods.Poisson(e),
    "zero_inflated": lambda c, e: likelihoods.ZeroInflatedNegativeBinomial(e),
    "positive": lambda c, e: likelihoods.LogNormal(e),
    "mixed": lambda c, e: likelihoods.Mixed(e, tuple(c.columns)),
    "autoregressive": lambda c, e: likelihoods.Autoregressive(
        e, _levels(c), c.masked_features, c.masked_layers
    ),
    "tokens": lambda c, e: likelihoods.Tokens(e, causal_network(c)),
}
NETWORKS: dict[str, Callable[[ModelConfig, Shape, Callable, Any], tuple[nn.Module, nn.Module]]] = {
    "mlp": lambda c, e, act, dtype: (
        nets.MLP(tuple(c.hidden), act, dtype, c.gated),
        nets.MLP(tuple(c.hidden[::-1]), act, dtype, c.gated),
    ),
    "conv": lambda c, e, act, dtype: (
        nets.ConvEncoder(tuple(c.channels), tuple(c.hidden), act, dtype),
        nets.ConvDecoder(e, tuple(c.channels[::-1]), tuple(c.hidden[::-1]), act, dtype),
    ),
    "broadcast": lambda c, e, act, dtype: (
        nets.ConvEncoder(tuple(c.channels), tuple(c.hidden), act, dtype),
        nets.BroadcastDecoder(e, tuple(c.channels[::-1]), tuple(c.hidden[::-1]), act, dtype),
    ),
    "burgess": lambda c, e, act, dtype: (
        nets.burgess_encoder(dtype=dtype),
        nets.burgess_decoder(e, dtype=dtype),
    ),
    # The decoder of tokens is the network of their likelihood, whose context is z.
    "gru": lambda c, e, act, dtype: (_sequence_encoder(c, dtype), nets.MLP((), act, dtype)),
    "transformer": lambda c, e, act, dtype: (_sequence_encoder(c, dtype), nets.MLP((), act, dtype)),
}


def _sequence_encoder(c: ModelConfig, dtype: Any) -> nn.Module:
    return nets.SequenceEncoder(
        c.num_tokens,
        c.encoder_width,
        c.sequence_layers,
        c.network,
        embedding=c.token_features,
        heads=c.heads,
        dtype=dtype,
    )


def causal_network(c: ModelConfig) -> nn.Module:
    """The network of a likelihood of tokens; a GRU by default."""
    dtype = pick(DTYPES, "model.dtype", c.dtype)
    width, layers = c.decoder_width, c.sequence_layers
    if c.network == "transformer":
        return nets.CausalTransformer(c.num_tokens, width, layers, c.heads, dtype=dtype)
    return nets.CausalGRU(c.num_tokens, width, layers, c.token_features, dtype)


def likelihood_names(has: Callable[[likelihoods.Likelihood], bool]) -> tuple[str, ...]:
    """Return the names of the likelihoods that have a property."""
    c = ModelConfig(columns=("gaussian",), levels=256, sigma="fixed")
    return tuple(name for name, make in LIKELIHOODS.items() if has(make(c, (1,))))


def networks(c: ModelConfig, event_shape: Shape) -> tuple[nn.Module, nn.Module]:
    """Return encoder and decoder for events of that shape."""
    network = pick(NETWORKS, "model.network", c.network)
    if c.network != "mlp" and c.network not in SEQUENCE_NETWORKS:
        check_images(c.network, event_shape)
    if c.network == "burgess" and event_shape[:2] != (64, 64):
        raise InputError(
            f"config.model.network = 'burgess': needs 64x64 images, but the data are {event_shape}"
        )
    return network(c, event_shape, *activation_and_dtype(c))


def check_images(network: str, event_shape: Shape) -> None:
    """Raises InputError if the examples are not images [H, W, C], which the network needs."""
    if len(event_shape) != 3:
        raise InputError(
            f"config.model.network = {network!r}: needs images [H, W, C], but the data are "
            f"{event_shape}"
        )


def activation_and_dtype(c: ModelConfig) -> tuple[Callable, Any]:
    """Return activation and dtype of the networks."""
    activation = pick(ACTIVATIONS, "model.activation", c.activation)
    return activation, pick(DTYPES, "model.dtype", c.dtype)


def _levels(c: ModelConfig) -> int:
    """The levels of a discrete likelihood, 8 bits if nothing is known of the data."""
    return c.levels or 256


def _condition_size(c: ModelConfig) -> int:
    return 0 if c.conditioning == "none" else c.num_classes


def _pseudo_range(c: ModelConfig, event_shape: Shape) -> tuple[float, float]:
    """The range of pseudo-inputs: the support of the likelihood."""
    return pick(LIKELIHOODS, "model.likelihood", c.likelihood)(c, event_shape).support
