"""A diagonal Gaussian pushed through flows: posteriors that are not Gaussian.

All of them start near that Gaussian. Their rate is a Monte Carlo estimate, since no closed form of it is known.
"""

import math
from collections.abc import Callable

from flax import linen as nn

from vae_jax.distributions import Distribution, Flowed
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
from vae_jax.posteriors.scale import bounded_logvar
from vae_jax.types import Array


class PlanarHead(nn.Module):
    """q(z | x): a Gaussian through planar flows whose parameters are affine in the features.

    Rezende and Mohamed, 2015, arXiv:1505.05770; see `flows.Planar`.
    """

    latent_dim: int
    num_flows: int = 8
    logvar_fn: Callable[[Array], Array] = bounded_logvar

    @nn.compact
    def __call__(self, h: Array) -> Distribution:
        h, num, dim = h.reshape(h.shape[0], -1), self.num_flows, self.latent_dim
        base = DiagGaussianHead(dim, self.logvar_fn, name="base")(h)
        u = _features(h, "u", (num, dim), SMALL)
        w = _features(h, "w", (num, dim))
        b = _features(h, "b", (num,))
        return Flowed(base, Chain(tuple(Planar(u[:, i], w[:, i], b[:, i]) for i in range(num))))


class SylvesterHead(nn.Module):
    """q(z | x): a Gaussian through Sylvester flows with M = `num_vectors` orthonormal columns, all affine in the features.

    van den Berg et al., 2018, arXiv:1803.05649; the columns are made orthonormal by Householder reflections, see
    `flows.Sylvester`. InputError unless 1 <= M <= D.
    """

    latent_dim: int
    num_flows: int = 4
    num_vectors: int = 8
    logvar_fn: Callable[[Array], Array] = bounded_logvar

    @nn.compact
    def __call__(self, h: Array) -> Distribution:
        h, num, dim, vectors = (
            h.reshape(h.shape[0], -1),
            self.num_flows,
            self.latent_dim,
            self.num_vectors,
        )
        check_range("num_vectors", vectors, 1, dim)
        base = DiagGaussianHead(dim, self.logvar_fn, name="base")(h)
        q = orthonormal(_features(h, "q", (num, dim, vectors)))
        r1 = bounded_triangular(_features(h, "r1", (num, vectors, vectors), SMALL))
        r2 = bounded_triangular(_features(h, "r2", (num, vectors, vectors)))
        b = _features(h, "b", (num, vectors))
        return Flowed(
            base, Chain(tuple(Sylvester(q[:, i], r1[:, i], r2[:, i], b[:, i]) for i in range(num)))
        )


class InverseAutoregressiveHead(nn.Module):
    """q(z | x): a Gaussian through inverse autoregressive flows, given a context of `width` numbers affine in the features.

    Kingma et al., 2016, arXiv:1606.04934; see `flows.AffineAutoregressive`. `width` is that of its networks too. A draw and
    its density are one pass of them; the density of any other value takes D.
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
        return Flowed(
            base, autoregressive_flow(self, self.latent_dim, self.num_flows, self.width, context)
        )


def _features(
    h: Array,
    name: str,
    shape: tuple[int, ...],
    kernel_init: Callable[..., Array] = Dense.kernel_init,
) -> Array:
    """A dense layer of the module whose compact method calls it: h [B, F] -> [B, *shape] in float32."""
    dense = Dense(math.prod(shape), dtype=h.dtype, wide=True, kernel_init=kernel_init, name=name)
    return dense(h).reshape(h.shape[0], *shape)
