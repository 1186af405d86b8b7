"""Distributions as small pytrees, and closed-form Kullback-Leibler divergences between them.

Per-dimension terms keep every axis. `log_prob` sums only the last `event_ndims` axes.
Values are in nats, with all constants. For a distribution over ``[*batch, *event]``, ``sample(key,
shape)`` returns ``[*shape, *batch, *event]``.

>>> import jax
>>> import jax.numpy as jnp
>>> from vae_jax import distributions
>>> q = distributions.DiagGaussian(mean=jnp.ones((8, 2)), logvar=jnp.zeros((8, 2)))
>>> p = distributions.DiagGaussian(mean=jnp.zeros(2), logvar=jnp.zeros(2))
>>> q.sample(jax.random.key(0), (5,)).shape
(5, 8, 2)
>>> q.log_prob(q.mean).shape
(8,)
>>> float(distributions.kl_divergence(q, p)[0])
1.0
"""

from vae_jax.distributions.autoregressive import Autoregressive
from vae_jax.distributions.base import Distribution, sum_event
from vae_jax.distributions.batch import BatchShaped
from vae_jax.distributions.beam_search import Beams, beam_search
from vae_jax.distributions.categorical import OneHotCategorical
from vae_jax.distributions.codes import EmbeddedCodes, Quantized, UniformCodes
from vae_jax.distributions.continuous_bernoulli import ContinuousBernoulli
from vae_jax.distributions.counts import (
    BetaBinomial,
    NegativeBinomial,
    Poisson,
    ZeroInflatedNegativeBinomial,
)
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
from vae_jax.distributions.log_normal import LogNormal
from vae_jax.distributions.logistic import (
    ColorLogisticMixture,
    DiscretizedLogistic,
    DiscretizedLogisticMixture,
)
from vae_jax.distributions.marginals import Marginals, marginals
from vae_jax.distributions.mixed import Mixed
from vae_jax.distributions.mixture import MixtureOfGaussians, uniform_mixture
from vae_jax.distributions.ordinal import Ordinal
from vae_jax.distributions.scale import (
    LOG_DF_RANGE,
    LOGVAR_RANGE,
    bounded_df,
    bounded_logvar,
    inverse_soft_clip,
    soft_clip,
    softplus_logvar,
)
from vae_jax.distributions.scaled import Affine, Scaled
from vae_jax.distributions.side_by_side import SideBySide
from vae_jax.distributions.student_t import StudentT
from vae_jax.distributions.tokens import TokenSequence

__all__ = [
    "LOGVAR_RANGE",
    "LOG_DF_RANGE",
    "Affine",
    "Autoregressive",
    "BatchShaped",
    "Beams",
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
    "LogNormal",
    "Marginals",
    "Mixed",
    "MixtureOfGaussians",
    "NegativeBinomial",
    "OneHotCategorical",
    "OptimalGaussian",
    "Ordinal",
    "Poisson",
    "Quantized",
    "Scaled",
    "SideBySide",
    "StudentT",
    "TokenSequence",
    "UniformCodes",
    "ZeroInflatedNegativeBinomial",
    "beam_search",
    "bounded_df",
    "bounded_logvar",
    "closed_form_kl",
    "has_closed_form_kl",
    "has_kl_terms",
    "inverse_soft_clip",
    "kl_divergence",
    "kl_terms",
    "marginals",
    "monte_carlo_kl",
    "soft_clip",
    "softplus_logvar",
    "sum_event",
    "uniform_mixture",
]
