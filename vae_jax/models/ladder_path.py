"""The two passes of a ladder: features of x bottom-up, prior and posterior top-down."""

import typing
from typing import Literal, TypeAlias

import jax.numpy as jnp
from flax import linen as nn

from vae_jax.distributions import DiagGaussian
from vae_jax.models.descent import Choose, Descent, tile_rows
from vae_jax.models.ladder_levels import Level
from vae_jax.nets.conditioning import Shift
from vae_jax.nets.dense import Dense
from vae_jax.nets.residual import Blocks, Down, Style, Up, small_init
from vae_jax.posteriors import bounded_logvar
from vae_jax.types import Array

Merge: TypeAlias = Literal["learned", "precision"]
MERGES = typing.get_args(Merge)


class BottomUp(nn.Module):
    """Features of x at each level, the top first, from a residual network, before activation."""

    levels: tuple[Level, ...]
    style: Style

    @nn.compact
    def __call__(self, x: Array, c: Array | None) -> tuple[Array, ...]:
        """X [N, *E] and c [N, C], if conditional -> h [N, *grid, width] of each level."""
        [h] = nn.dtypes.promote_dtype(x, dtype=self.style.dtype)
        features: list[Array] = []
        for level in reversed(self.levels):
            h = self.style.activation(h) if features else h
            h = Shift()(Down(level.grid, level.width, self.style)(h), c)
            h = Blocks(self.style)(h) if level.layers else h
            features.append(h)
        return tuple(reversed(features))


class Rung(nn.Module):
    """A stochastic layer: p and q of its z from the state above it, and the state below it."""

    level: Level
    style: Style
    merge: Merge = "learned"

    def setup(self) -> None:
        width, latent, dtype = self.level.width, self.level.latent, self.style.dtype
        zeros = nn.initializers.zeros_init()  # a standard Gaussian prior at initialization
        small = small_init(self.style.depth)
        self.from_state = Dense(width, dtype=dtype)
        self.from_features = Dense(width, dtype=dtype)
        self.prior_head = Dense(2 * latent, dtype=dtype, wide=True, kernel_init=zeros)
        self.posterior_head = Dense(2 * latent, dtype=dtype, wide=True)
        self.from_z = Dense(width, dtype=dtype, kernel_init=small)
        self.refine = Blocks(self.style)

    def prior(self, h: Array) -> DiagGaussian:
        """p(z_l | z_<l) over [N, D_l], from the state h [N, *grid, width]."""
        return _gaussian(self.prior_head(self.style.activation(h)))

    def posterior(self, h: Array, features: Array, prior: DiagGaussian | None) -> DiagGaussian:
        """q(z_l | z_<l, x) over [N, D_l], from h and features of x, repeated to the rows of h.

        `prior` belongs to the layer, None for the top layer. It matters to the precision merge.
        """
        activation = self.style.activation
        evidence = tile_rows(self.from_features(activation(features)), h.shape[0])
        if self.merge == "precision":
            q = _gaussian(self.posterior_head(activation(evidence)))
            return q if prior is None else precision_weighted(q, prior)
        state = self.from_state(activation(h))
        return _gaussian(self.posterior_head(activation(state + evidence)))

    def descend(self, h: Array, z: Array) -> Array:
        """The state after z [M, D_l], [M, *grid, width]."""
        z = z.reshape(z.shape[0], *(self.level.grid or ()), self.level.latent)
        return self.refine(tile_rows(h, z.shape[0]) + self.from_z(z))


def precision_weighted(q: DiagGaussian, p: DiagGaussian) -> DiagGaussian:
    """The normalized product of two Gaussians, as Sonderby et al. merge evidence and prior.

    1 / s^2 = 1 / s_q^2 + 1 / s_p^2 and mean / s^2 = mean_q / s_q^2 + mean_p / s_p^2.
    """
    share = nn.sigmoid(p.logvar - q.logvar)  # share of the precision that comes from q
    logvar = -jnp.logaddexp(-q.logvar, -p.logvar)
    return DiagGaussian(p.mean + share * (q.mean - p.mean), logvar)


def _gaussian(raw: Array) -> DiagGaussian:
    mean, logvar = (part.reshape(raw.shape[0], -1) for part in jnp.split(raw, 2, axis=-1))
    return DiagGaussian(mean, bounded_logvar(logvar))


class TopDown(nn.Module):
    """The shared path of prior and posterior: a learned initial state takes in one z per layer."""

    levels: tuple[Level, ...]
    style: Style
    merge: Merge = "learned"

    def setup(self) -> None:
        top, *rest = self.levels
        self.start = self.param(
            "start", nn.initializers.normal(0.1), (*(top.grid or ()), top.width), jnp.float32
        )
        self.rises = [Up(level.grid, level.width, self.style) for level in rest]
        self.shifts = [Shift() for _ in self.levels]
        self.rungs = [
            Rung(level, self.style, self.merge)
            for level in self.levels
            for _ in range(level.layers)
        ]

    def __call__(
        self, rows: int, c: Array | None, choose: Choose, features: tuple[Array, ...] | None = None
    ) -> Descent:
        """Pass down `rows` N states, with c [N, C] if conditional, and each z from `choose`."""
        path = Descent(jnp.zeros(()), [], [], [])
        [h] = nn.dtypes.promote_dtype(self.start, dtype=self.style.dtype)
        h, rungs = jnp.broadcast_to(h, (rows, *h.shape)), iter(self.rungs)
        for i, level in enumerate(self.levels):
            h = self.rises[i - 1](h) if i else h
            h = self.shifts[i](h, None if c is None else tile_rows(c, h.shape[0]))
            for _ in range(level.layers):
                rung = next(rungs)
                p, q = rung.prior(h), None
                if features is not None:
                    q = rung.posterior(h, features[i], p if path.z else None)
                z = choose(len(path.z), p, q)
                h = rung.descend(h, z)
                path.z.append(z)
                path.priors.append(p)
                path.posteriors.append(q)
        return path._replace(h=self.style.activation(h))
