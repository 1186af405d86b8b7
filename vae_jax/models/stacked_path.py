"""The two passes of stacked layers: each conditional has a dense network of its inputs."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
from flax import linen as nn

from vae_jax.distributions import DiagGaussian
from vae_jax.models.descent import Choose, Descent, tile_rows
from vae_jax.nets.mlp import MLP
from vae_jax.posteriors import DiagGaussianHead, bounded_logvar
from vae_jax.types import Array


class DenseStyle(NamedTuple):
    """Settings shared by the networks of one model."""

    hidden: tuple[int, ...]  # widths in encoder order; networks of p reverse them
    activation: Callable[[Array], Array] = nn.relu
    dtype: Any = None  # dtype of compute and features, see `vae_jax.nets`
    gated: bool = False
    logvar_fn: Callable[[Array], Array] = bounded_logvar

    def mlp(self, widths: tuple[int, ...]) -> MLP:
        """Dense layers of these widths."""
        return MLP(widths, self.activation, self.dtype, self.gated)

    def head(self, size: int) -> DiagGaussianHead:
        """Features to a Gaussian over [N, `size`]."""
        return DiagGaussianHead(size, self.logvar_fn)


class BottomUp(nn.Module):
    """Features of x for the posterior of each layer: a first dense layer of x for each."""

    num_layers: int
    style: DenseStyle

    def setup(self) -> None:
        first = self.style.hidden[:1]
        self.of_x = [self.style.mlp(first) for _ in range(self.num_layers)]

    def __call__(self, x: Array, c: Array | None) -> tuple[Array, ...]:
        """Inputs x [N, ...] and c [N, C], if conditional -> h [N, F] of each layer."""
        return tuple(network(x, c) for network in self.of_x)


class Latents(nn.Module):
    """Dense layers of latents, and of features of x if there are any.

    A first layer for each of z_1 .. z_n, and then layers of the features of all side by side:

        g(h, f_1(z_1), .., f_n(z_n))
    """

    num_latents: int
    widths: tuple[int, ...]
    style: DenseStyle

    def setup(self) -> None:
        self.of_z = [self.style.mlp(self.widths[:1]) for _ in range(self.num_latents)]
        self.joint = self.style.mlp(self.widths[1:])

    def __call__(self, z: Sequence[Array], c: Array | None, h: Array | None = None) -> Array:
        """Latents z_l [M, D_l], c [N, C] if conditional and h [N, F], N dividing M -> [M, F']."""
        rows = z[0].shape[0] if z else h.shape[0]
        c = None if c is None else tile_rows(c, rows)
        features = [] if h is None else [tile_rows(h, rows)]
        features += [network(latent, c) for network, latent in zip(self.of_z, z, strict=True)]
        return self.joint(jnp.concatenate(features, axis=-1))


class TopDown(nn.Module):
    """p(z_l | z_<l), q(z_l | z_<l, x) and the features of p(x | z), without shared parameters.

    The prior of the top layer is a part of the model, so that it is None here.
    """

    layers: tuple[int, ...]
    style: DenseStyle

    def setup(self) -> None:
        style, depth = self.style, len(self.layers)
        up, down = style.hidden, style.hidden[::-1]
        self.posterior_networks = [Latents(above, up, style) for above in range(depth)]
        self.posterior_heads = [style.head(size) for size in self.layers]
        self.prior_networks = [Latents(above, down, style) for above in range(1, depth)]
        self.prior_heads = [style.head(size) for size in self.layers[1:]]
        self.decoder = Latents(depth, down, style)

    def posterior(
        self, above: Sequence[Array], c: Array | None, features: tuple[Array, ...]
    ) -> DiagGaussian:
        """q(z_l | z_<l, x) over [M, D_l] of the layer below z_<l = `above`."""
        number = len(above)
        h = self.posterior_networks[number](above, c, features[number])
        return self.posterior_heads[number](h)

    def prior(self, above: Sequence[Array], c: Array | None) -> DiagGaussian:
        """p(z_l | z_<l) over [M, D_l] of the layer below z_<l = `above`, at least one."""
        number = len(above) - 1
        return self.prior_heads[number](self.prior_networks[number](above, c))

    def __call__(
        self, rows: int, c: Array | None, choose: Choose, features: tuple[Array, ...] | None = None
    ) -> Descent:
        """Pass down `rows` N examples, with c [N, C] if conditional, and each z from `choose`."""
        path = Descent(jnp.zeros(()), [], [], [])
        for number in range(len(self.layers)):
            p = self.prior(path.z, c) if number else None
            q = None if features is None else self.posterior(path.z, c, features)
            z = choose(number, p, q)
            path.z.append(z)
            path.priors.append(p)
            path.posteriors.append(q)
        return path._replace(h=self.decoder(path.z, c))
