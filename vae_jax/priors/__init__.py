"""Priors: () -> p(z) over [D], or c -> p(z | c) over [B, D] for a condition c [B, C].

Priors made of posteriors are also given `encode`, the model's own posterior. An unconditional prior
ignores c. `vae_jax.priors.base` has the contracts.

>>> import jax
>>> import jax.numpy as jnp
>>> from vae_jax import priors
>>> prior = priors.Mixture(latent_dim=2, num_components=10)
>>> p = prior.apply(prior.init(jax.random.key(0)))
>>> p.log_prob(jnp.zeros((8, 2))).shape
(8,)
"""

from vae_jax.priors.base import CodePrior, Encode, Prior
from vae_jax.priors.categorical import UniformCategorical
from vae_jax.priors.codes import PixelCNNCodes, UniformCodes
from vae_jax.priors.flows import AutoregressivePrior, CouplingPrior
from vae_jax.priors.gaussian import LearnedDiagonal, StandardNormal
from vae_jax.priors.mixture import Mixture
from vae_jax.priors.vamp import VampPrior

__all__ = [
    "AutoregressivePrior",
    "CodePrior",
    "CouplingPrior",
    "Encode",
    "LearnedDiagonal",
    "Mixture",
    "PixelCNNCodes",
    "Prior",
    "StandardNormal",
    "UniformCategorical",
    "UniformCodes",
    "VampPrior",
]
