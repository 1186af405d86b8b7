"""Likelihood heads: features h [N, ...] -> p(x | z) over [*lead, *E] with N = prod(lead).

A head owns the last linear map, from features to the parameters of each dimension, computed in the
dtype of the features. The distribution is always float32. `Likelihood` describes the values that a
head supports.

>>> import jax
>>> import jax.numpy as jnp
>>> from vae_jax import likelihoods
>>> head = likelihoods.Bernoulli(event_shape=(28, 28, 1))
>>> h = jnp.ones((8, 16))
>>> p = head.apply(head.init(jax.random.key(0), h), h)
>>> p.log_prob(jnp.zeros((8, 28, 28, 1))).shape
(8,)
"""

from vae_jax.likelihoods.autoregressive import Autoregressive
from vae_jax.likelihoods.base import (
    REALS,
    GridLikelihood,
    Likelihood,
    check_support,
    column_masks,
    fit_units,
)
from vae_jax.likelihoods.binary import Bernoulli, ContinuousBernoulli
from vae_jax.likelihoods.counts import NegativeBinomial, Poisson, ZeroInflatedNegativeBinomial
from vae_jax.likelihoods.event import EventLayer
from vae_jax.likelihoods.gaussian import (
    Gaussian,
    LearnedGaussian,
    OptimalGaussian,
    PredictedGaussian,
)
from vae_jax.likelihoods.grid import (
    BetaBinomial,
    Categorical,
    DiscretizedLogistic,
    DiscretizedLogisticMixture,
)
from vae_jax.likelihoods.laplace import Laplace, LearnedLaplace, PredictedLaplace
from vae_jax.likelihoods.log_normal import LogNormal
from vae_jax.likelihoods.mixed import Column, Mixed, check_table, parse_columns
from vae_jax.likelihoods.student_t import DF_SOURCES, StudentT
from vae_jax.likelihoods.tokens import Tokens

__all__ = [
    "DF_SOURCES",
    "REALS",
    "Autoregressive",
    "Bernoulli",
    "BetaBinomial",
    "Categorical",
    "Column",
    "ContinuousBernoulli",
    "DiscretizedLogistic",
    "DiscretizedLogisticMixture",
    "EventLayer",
    "Gaussian",
    "GridLikelihood",
    "Laplace",
    "LearnedGaussian",
    "LearnedLaplace",
    "Likelihood",
    "LogNormal",
    "Mixed",
    "NegativeBinomial",
    "OptimalGaussian",
    "Poisson",
    "PredictedGaussian",
    "PredictedLaplace",
    "StudentT",
    "Tokens",
    "ZeroInflatedNegativeBinomial",
    "check_support",
    "check_table",
    "column_masks",
    "fit_units",
    "parse_columns",
]
