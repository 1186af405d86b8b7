"""Priors: (c, encode) -> p(z) over [D], or p(z | c) over [B, D] for a condition c [B, C].

`encode` is the model's own posterior, for a prior that is made of posteriors. One that conditions on nothing ignores c.
"""

from vae_jax.priors.base import Encode
from vae_jax.priors.gaussian import StandardNormal

__all__ = ["Encode", "StandardNormal"]
