"""Diagonal Gaussians transformed by flows: posteriors that are not Gaussian.

They start near the Gaussian. Their rate is a Monte Carlo estimate: there is no closed form.
"""

import math
from collections.abc import Callable

from flax import linen as nn

from vae_jax.distributions import Distribution, Flowed, bounded_logvar
from vae_jax.errors import check_range
from vae_jax.flows import (
    Chain,
    Planar,
    Sylvester,
    autoregressive_flow,
    bounded_triangular,
    orthonormal,
)
from vae_jax.flows.conditioner import SMALL
from vae_jax.nets.dense import Dense
from vae_jax.posteriors.gaussian import DiagGaussianHead
from vae_jax.types import Array


class PlanarHead(nn.Module):
    """q(z | x): a Gaussian transformed by planar flows with parameters affine in the features.

    Rezende and Mohamed, 2015, arXiv:1505.05770; see `flows.Planar`.
    """

    latent_dim: int
    num_flows: int = 8
    logvar_fn: Callable[[Array], Array] = bounded_logvar

    @nn.compact
    def __call__(self, h: Array) -> Distribution:
        h = h.reshape(h.shape[0], -1)
        num, dim = self.num_flows, self.latent_dim
        base = DiagGaussianHead(dim, self.logvar_fn, name="base")(h)
        u = _features(h, "u", (num, dim), SMALL)
        w = _features(h, "w", (num, dim))
        b = _features(h, "b", (num,))
        return Flowed(base, Chain(tuple(Planar(u[:, i], w[:, i], b[:, i]) for i in range(num))))


class SylvesterHead(nn.Module):
    """q(z | x): a Gaussian transformed by Sylvester flows with M = `num_vectors` columns.

    van den Berg et al., 2018, arXiv:1803.05649; see `flows.Sylvester`. All parameters are affine in
    the features; Householder reflections make the columns orthonormal. Raises InputError unless 1
    <= M <= D.
    """

    latent_dim: int
    num_flows: int = 4
    num_vectors: int = 8
    logvar_fn: Callable[[Array], Array] = bounded_logvar

    @nn.compact
    def __call__(self, h: Array) -> Distribution:
        h = h.reshape(h.shape[0], -1)
        num, dim, vectors = self.num_flows, self.latent_dim, self.num_vectors
        check_range("num_vectors", vectors, 1, dim)
        base = DiagGaussianHead(dim, self.logvar_fn, name="base")(h)
        q = orthonormal(_features(h, "q", (num, dim, vectors)))
        r1 = bounded_triangular(_features(h, "r1", (num, vectors, vectors), SMALL))
        r2 = bounded_triangular(_features(h, "r2", (num, vectors, vectors)))
        b = _features(h, "b", (num, vectors))
        flows = tuple(Sylvester(q[:, i], r1[:, i], r2[:, i], b[:, i]) for i in range(num))
        return Flowed(base, Chain(flows))


class InverseAutoregressiveHead(nn.Module):
    """q(z | x): a Gaussian transformed by inverse autoregressive flows.

    Kingma et al., 2016, arXiv:1606.04934; see `flows.AffineAutoregressive`. The context, `width`
    numbers, is affine in the features; `width` is also the width of the flow networks. Sampling
    with its density takes one pass of each network; the density of any other value takes D.
    """

    latent_dim: int
    num_flows: int = 4
    width: int = 64
    logvar_fn: Callable[[Array], Array] = bounded_logvar

    @nn.compact
    def __call__(self, h: Array) -> Distribution:
        h = h.reshape(h.shape[0], -1)
        base = DiagGaussianHead(self.latent_dim, self.logvar_fn, name="base")(h)
        context = _features(h, "context", (self.width,))
        flow = autoregressive_flow(self, self.latent_dim, self.num_flows, self.width, context)
        return Flowed(base, flow)


def _features(
    h: Array,
    name: str,
    shape: tuple[int, ...],
    kernel_init: Callable[..., Array] = Dense.kernel_init,
) -> Array:
    """A dense layer h [B, F] -> [B, *shape] in float32.

    It belongs to the module whose compact method calls it.
    """
    dense = Dense(math.prod(shape), dtype=h.dtype, wide=True, kernel_init=kernel_init, name=name)
    return dense(h).reshape(h.shape[0], *shape)
