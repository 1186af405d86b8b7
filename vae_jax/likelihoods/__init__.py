"""Likelihood heads: features h [N, ...] -> p(x | z), a distribution over [*lead, *E] with N = prod(lead).

The head holds the last linear map, from features to the parameters of each dimension: taken in the dtype of the features,
while the distribution is float32 whatever it is. `support` is the range of values that its density is defined on; `binary`
says that only the two ends of it have mass.
"""

from vae_jax.likelihoods.binary import Bernoulli
from vae_jax.likelihoods.event import REALS, EventLayer
from vae_jax.likelihoods.gaussian import Gaussian, LearnedGaussian, OptimalGaussian, PredictedGaussian

__all__ = ["REALS", "Bernoulli", "EventLayer", "Gaussian", "LearnedGaussian", "OptimalGaussian", "PredictedGaussian"]
