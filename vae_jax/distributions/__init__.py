"""Distributions as small pytrees, and the closed-form Kullback-Leibler divergences between them.

Per-dimension terms keep every axis; `log_prob` sums the `event_ndims` last ones and nothing else. Everything is in nats,
with all constants. A distribution over ``[*batch, *event]`` draws ``[*shape, *batch, *event]`` from ``sample(key, shape)``.
"""

from vae_jax.distributions.autoregressive import Autoregressive
from vae_jax.distributions.base import Distribution, distribution, static, sum_event
from vae_jax.distributions.categorical import OneHotCategorical
from vae_jax.distributions.codes import EmbeddedCodes, Quantized, UniformCodes
from vae_jax.distributions.continuous_bernoulli import ContinuousBernoulli
from vae_jax.distributions.counts import BetaBinomial, NegativeBinomial
from vae_jax.distributions.deterministic import Deterministic
from vae_jax.distributions.discrete import Bernoulli, Categorical, GridCategorical
from vae_jax.distributions.flowed import Flowed
from vae_jax.distributions.full_gaussian import FullGaussian
from vae_jax.distributions.gaussian import DiagGaussian, OptimalGaussian
from vae_jax.distributions.kl import (
    closed_form_kl,
    has_closed_form_kl,
    has_kl_terms,
    kl_divergence,
    kl_terms,
    monte_carlo_kl,
)
from vae_jax.distributions.laplace import Laplace
from vae_jax.distributions.logistic import (
    ColorLogisticMixture,
    DiscretizedLogistic,
    DiscretizedLogisticMixture,
)
from vae_jax.distributions.mixed import Mixed
from vae_jax.distributions.mixture import MixtureOfGaussians
from vae_jax.distributions.scale import LOGVAR_RANGE, inverse_soft_clip, soft_clip

__all__ = [
    "LOGVAR_RANGE",
    "Autoregressive",
    "Bernoulli",
    "BetaBinomial",
    "Categorical",
    "ColorLogisticMixture",
    "ContinuousBernoulli",
    "Deterministic",
    "DiagGaussian",
    "DiscretizedLogistic",
    "DiscretizedLogisticMixture",
    "Distribution",
    "EmbeddedCodes",
    "Flowed",
    "FullGaussian",
    "GridCategorical",
    "Laplace",
    "Mixed",
    "MixtureOfGaussians",
    "NegativeBinomial",
    "OneHotCategorical",
    "OptimalGaussian",
    "Quantized",
    "UniformCodes",
    "closed_form_kl",
    "distribution",
    "has_closed_form_kl",
    "has_kl_terms",
    "inverse_soft_clip",
    "kl_divergence",
    "kl_terms",
    "monte_carlo_kl",
    "soft_clip",
    "static",
    "sum_event",
]
