"""Normalizing flows: invertible maps of [..., D] with their log-determinants in both directions.

A flow is a small pytree, like a distribution. Its arrays are parameters, with a batch axis if they
differ per example, and broadcast against the leading axes of z. `forward(z)` returns f(z) and log
|det df/dz|; `inverse(y)` returns f^-1(y) and log |det df^-1/dy|; each log-determinant is over
[...]. A flow parameterized by a network holds the unbound network as a static field and its
variables as arrays.
"""

from vae_jax.flows.affine import (
    AffineAutoregressive,
    AffineCoupling,
    autoregressive_flow,
    coupling_flow,
)
from vae_jax.flows.base import Chain, Flow, Inverse, Reversal
from vae_jax.flows.conditioner import Conditioner
from vae_jax.flows.planar import Planar
from vae_jax.flows.sylvester import Sylvester, bounded_triangular, orthonormal

__all__ = [
    "AffineAutoregressive",
    "AffineCoupling",
    "Chain",
    "Conditioner",
    "Flow",
    "Inverse",
    "Planar",
    "Reversal",
    "Sylvester",
    "autoregressive_flow",
    "bounded_triangular",
    "coupling_flow",
    "orthonormal",
]
