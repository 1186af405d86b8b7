"""Priors over grids of discrete codes: () or c -> p(codes) over integers [*grid].

Given c they are over [B, *grid]. They see codes only, so no gradient reaches the encoder. `grid` is
the layout of the model's latents.
"""

from collections.abc import Sequence

import jax.numpy as jnp
from flax import linen as nn

from vae_jax import distributions
from vae_jax.distributions import Distribution
from vae_jax.nets.dense import Dense
from vae_jax.nets.pixelcnn import PixelCNN
from vae_jax.types import Array


class UniformCodes(nn.Module):
    """p(codes) = M^-P for any condition: P = prod(grid) codes out of M = `num_codes`."""

    grid: Sequence[int]
    num_codes: int

    def __call__(self, c: Array | None = None) -> Distribution:
        return distributions.UniformCodes(tuple(self.grid), self.num_codes, len(self.grid))


class PixelCNNCodes(nn.Module):
    """p(codes) = prod_i p(code_i | code_1 .. code_{i-1}, c) over a grid of integers [h, w].

    A gated PixelCNN on embeddings, as in the second stage of a VQ-VAE (van den Oord et al., 2017,
    arXiv:1711.00937). Each position has a learned context vector, plus a linear map of the
    condition c [B, C] if given. The output layer starts at zero, so the untrained prior is uniform:
    h w log(num_codes) nats.

    Over [h, w], or [B, h, w] given c. `log_prob` takes one pass of the network, `sample` h w.
    """

    grid: Sequence[int]
    num_codes: int
    features: int = 64
    layers: int = 4
    kernel: int = 3
    embedding: int = 32

    @nn.compact
    def __call__(self, c: Array | None = None) -> Distribution:
        grid = tuple(self.grid)
        context = self.param(
            "place", nn.initializers.zeros_init(), (*grid, self.features), jnp.float32
        )
        if c is not None:
            context = context + Dense(self.features, name="condition")(c)[:, None, None]
        network = PixelCNN(
            self.num_codes,
            self.features,
            self.layers,
            self.kernel,
            self.embedding,
            out_init=nn.initializers.zeros_init(),
            parent=None,
        )
        params = self.param("pixelcnn", lambda key: network.init_params(key, 1, self.features))
        return distributions.Autoregressive(
            context, params, network, grid, self.num_codes, integers=True
        )
