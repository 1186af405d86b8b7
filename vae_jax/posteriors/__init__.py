"""Posterior heads: features h [B, ...] -> q(z | x), a distribution over [B, D].

The last linear map is taken in the dtype of the features; the distribution is float32 whatever it is.
"""

from vae_jax.posteriors.categorical import GumbelSoftmaxHead
from vae_jax.posteriors.flows import InverseAutoregressiveHead, PlanarHead, SylvesterHead
from vae_jax.posteriors.gaussian import DeterministicHead, DiagGaussianHead, FullGaussianHead
from vae_jax.posteriors.scale import bounded_logvar, softplus_logvar

__all__ = [
    "DeterministicHead",
    "DiagGaussianHead",
    "FullGaussianHead",
    "GumbelSoftmaxHead",
    "InverseAutoregressiveHead",
    "PlanarHead",
    "SylvesterHead",
    "bounded_logvar",
    "softplus_logvar",
]
