"""Likelihood heads: features h [N, ...] -> p(x | z), a distribution over [*lead, *E] with N = prod(lead).

The head holds the last linear map, from features to the parameters of each dimension: taken in the dtype of the features,
while the distribution is float32 whatever it is. What values it is for, it says itself: see `Likelihood`.
"""

from vae_jax.likelihoods.autoregressive import Autoregressive
from vae_jax.likelihoods.binary import Bernoulli, ContinuousBernoulli
from vae_jax.likelihoods.counts import NegativeBinomial, PredictedNegativeBinomial
from vae_jax.likelihoods.event import REALS, EventLayer, GridLikelihood, Likelihood
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
from vae_jax.likelihoods.mixed import Column, Mixed, check_table, parse_columns

__all__ = [
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
    "Mixed",
    "NegativeBinomial",
    "OptimalGaussian",
    "PredictedGaussian",
    "PredictedLaplace",
    "PredictedNegativeBinomial",
    "check_table",
    "parse_columns",
]
