"""Posterior heads: features h [B, ...] -> q(z | x), a distribution over [B, D].

The last linear map is taken in the dtype of the features; the distribution is float32 whatever it is.
"""

from vae_jax.posteriors.gaussian import DeterministicHead, DiagGaussianHead
from vae_jax.posteriors.scale import bounded_logvar, softplus_logvar

__all__ = ["DeterministicHead", "DiagGaussianHead", "bounded_logvar", "softplus_logvar"]
