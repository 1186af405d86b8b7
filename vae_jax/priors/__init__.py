"""Priors: (c, encode) -> p(z) over [D], or p(z | c) over [B, D] for a condition c [B, C].

`encode` is the model's own posterior, for a prior that is made of posteriors. One that conditions on nothing ignores c.
"""

from vae_jax.priors.base import Encode
from vae_jax.priors.categorical import UniformCategorical
from vae_jax.priors.codes import PixelCNNCodes, UniformCodes
from vae_jax.priors.flows import AutoregressivePrior, CouplingPrior
from vae_jax.priors.gaussian import ConditionalNormal, LearnedDiagonal, StandardNormal
from vae_jax.priors.mixture import Mixture
from vae_jax.priors.vamp import VampPrior

__all__ = [
    "AutoregressivePrior",
    "ConditionalNormal",
    "CouplingPrior",
    "Encode",
    "LearnedDiagonal",
    "Mixture",
    "PixelCNNCodes",
    "StandardNormal",
    "UniformCategorical",
    "UniformCodes",
    "VampPrior",
]
