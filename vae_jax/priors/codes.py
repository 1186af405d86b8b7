"""Priors over grids of discrete codes: (c, encode) -> p(codes), a distribution over integers [*grid], or [B, *grid] given c.

They see codes only, so nothing of them reaches the encoder. `grid` is what the model lays its latents out by.
"""

from collections.abc import Sequence

from flax import linen as nn

from vae_jax import distributions
from vae_jax.distributions import Distribution
from vae_jax.nets.dense import Dense
from vae_jax.nets.pixelcnn import PixelCNN
from vae_jax.priors.base import Encode
from vae_jax.types import Array


class UniformCodes(nn.Module):
    """p(codes) = M^-P, whatever the condition: P = prod(grid) codes out of M = `num_codes`."""

    grid: Sequence[int]
    num_codes: int

    def __call__(self, c: Array | None = None, *, encode: Encode | None = None) -> Distribution:
        return distributions.UniformCodes(tuple(self.grid), self.num_codes, len(self.grid))


class PixelCNNCodes(nn.Module):
    """p(codes) = prod_i p(code_i | code_1 .. code_{i-1}, c) over a grid of integers [h, w], by a gated PixelCNN on embeddings.

    As for the second stage of a VQ-VAE (van den Oord et al., 2017, arXiv:1711.00937). What each place is given beside the
    codes before it is a learnt vector of its own, plus a linear map of the condition c [B, C] where there is one. The output
    layer starts at zero: the prior is exactly uniform, h w log(num_codes) nats for any codes, before it is trained.

    Over [h, w], or [B, h, w] given c; `log_prob` is one pass of the network, `sample` h w of them.
    """

    grid: Sequence[int]
    num_codes: int
    features: int = 64
    layers: int = 4
    kernel: int = 3
    embedding: int = 32

    @nn.compact
    def __call__(self, c: Array | None = None, *, encode: Encode | None = None) -> Distribution:
        grid = tuple(self.grid)
        context = self.param("place", nn.initializers.zeros_init(), (*grid, self.features))
        if c is not None:
            context = context + Dense(self.features, name="condition")(c)[:, None, None]
        sizes = {
            "features": self.features,
            "layers": self.layers,
            "kernel": self.kernel,
            "embedding": self.embedding,
        }
        network = PixelCNN(
            self.num_codes, **sizes, out_init=nn.initializers.zeros_init(), parent=None
        )
        params = self.param("pixelcnn", lambda key: network.init_params(key, 1, self.features))
        return distributions.Autoregressive(
            context, params, network, grid, self.num_codes, integers=True
        )
