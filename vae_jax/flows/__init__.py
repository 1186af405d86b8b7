"""Normalizing flows: invertible maps of [..., D], with the logarithm of their determinant both ways.

A flow is a small pytree, as a distribution is: its arrays are parameters, one for each example where they have a batch axis,
and broadcast against the leading axes of z. `forward(z)` gives f(z) and log |det df/dz|, `inverse(y)` gives f^-1(y) and
log |det df^-1/dy|, each log-determinant over [...]. A flow whose parameters are a network holds the network, unbound, as part
of the program, and its variables as arrays.
"""

from vae_jax.flows.affine import (
    AffineAutoregressive,
    AffineCoupling,
    autoregressive_flow,
    coupling_flow,
)
from vae_jax.flows.base import Chain, Flow, Inverted, Reversal
from vae_jax.flows.conditioner import Conditioner
from vae_jax.flows.planar import Planar
from vae_jax.flows.sylvester import Sylvester, bounded_triangular, orthonormal

__all__ = [
    "AffineAutoregressive",
    "AffineCoupling",
    "Chain",
    "Conditioner",
    "Flow",
    "Inverted",
    "Planar",
    "Reversal",
    "Sylvester",
    "autoregressive_flow",
    "bounded_triangular",
    "coupling_flow",
    "orthonormal",
]
