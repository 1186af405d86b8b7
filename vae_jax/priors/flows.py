"""Priors that transform a standard normal by flows. They start near N(0, I)."""

import jax.numpy as jnp
from flax import linen as nn

from vae_jax.distributions import DiagGaussian, Distribution, Flowed
from vae_jax.flows import autoregressive_flow, coupling_flow
from vae_jax.types import Array


class CouplingPrior(nn.Module):
    """p(z): N(0, I) through affine coupling layers, conditional if c is given.

    RealNVP, Dinh et al., 2017, arXiv:1605.08803. Density and sampling take one pass each. Raises
    InputError for D < 2.
    """

    latent_dim: int
    num_flows: int = 4
    width: int = 64

    @nn.compact
    def __call__(self, c: Array | None = None) -> Distribution:
        flow = coupling_flow(self, self.latent_dim, self.num_flows, self.width, c)
        return Flowed(_standard(self.latent_dim, c), flow)


class AutoregressivePrior(nn.Module):
    """p(z): N(0, I) through masked autoregressive flows, conditional if c is given.

    MAF, Papamakarios et al., 2017, arXiv:1705.07057. A density, all that training needs, takes one
    pass of the networks; a sample takes D.
    """

    latent_dim: int
    num_flows: int = 4
    width: int = 64

    @nn.compact
    def __call__(self, c: Array | None = None) -> Distribution:
        flow = autoregressive_flow(
            self, self.latent_dim, self.num_flows, self.width, c, inverted=True
        )
        return Flowed(_standard(self.latent_dim, c), flow)


def _standard(dim: int, c: Array | None) -> DiagGaussian:
    """N(0, I) over [D], or over [B, D] for a condition [B, C]."""
    batch = () if c is None else c.shape[:-1]
    zeros = jnp.zeros((*batch, dim), jnp.float32)
    return DiagGaussian(zeros, zeros)
