"""Posterior heads: features h [B, ...] -> q(z | x), a distribution over [B, D].

A head owns the last linear map, computed in the dtype of the features. The distribution is always
float32. `vae_jax.posteriors.base` has the contracts.

>>> import jax
>>> import jax.numpy as jnp
>>> from vae_jax import posteriors
>>> head = posteriors.DiagGaussianHead(latent_dim=2)
>>> h = jnp.ones((8, 16))
>>> q = head.apply(head.init(jax.random.key(0), h), h)
>>> q.mean.shape
(8, 2)
"""

from vae_jax.distributions import bounded_logvar, softplus_logvar
from vae_jax.posteriors.base import PosteriorHead, Quantizer
from vae_jax.posteriors.categorical import GumbelSoftmaxHead
from vae_jax.posteriors.flows import InverseAutoregressiveHead, PlanarHead, SylvesterHead
from vae_jax.posteriors.gaussian import (
    DeterministicHead,
    DiagGaussianHead,
    FullGaussianHead,
    StandardNormalHead,
)
from vae_jax.posteriors.student_t import StudentTHead

__all__ = [
    "DeterministicHead",
    "DiagGaussianHead",
    "FullGaussianHead",
    "GumbelSoftmaxHead",
    "InverseAutoregressiveHead",
    "PlanarHead",
    "PosteriorHead",
    "Quantizer",
    "StandardNormalHead",
    "StudentTHead",
    "SylvesterHead",
    "bounded_logvar",
    "softplus_logvar",
]
