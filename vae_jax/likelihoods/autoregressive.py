"""Autoregressive likelihoods: each pixel given z and the pixels before it."""

from collections.abc import Sequence
from typing import ClassVar

from flax import linen as nn

from vae_jax import distributions
from vae_jax.distributions import Distribution
from vae_jax.errors import InputError
from vae_jax.likelihoods.base import GridLikelihood
from vae_jax.likelihoods.event import EventLayer
from vae_jax.nets.pixelcnn import PixelCNN
from vae_jax.types import Array


class Autoregressive(GridLikelihood):
    """p(x | z) = prod_i p(x_i | x_1 .. x_{i-1}, z), a gated PixelCNN conditioned on a feature map.

    For images [H, W, C] with values k / (levels - 1): Bernoulli factors for two levels, categorical
    ones for more. The PixelVAE of Gulrajani et al., 2017, arXiv:1611.05013.

    A decoder that models all dependence between pixels has little use for z, and the rate falls.
    The field of view controls this: layers (kernel // 2) pixels beyond the neighbors (see
    `nets.pixelcnn`). With a small one, z models the long-range structure, as in the lossy VAE of
    Chen et al., 2017, arXiv:1611.02731. A large one is a test bed for posterior collapse.

    Scoring takes one pass of the network per z, sampling H W C passes. `context_features` is the
    depth of the map; for a decoder without maps it is a dense layer of H W context_features
    outputs. Raises InputError for events that are not images.
    """

    autoregressive: ClassVar[bool] = True
    levels: int = 2  # type: ignore[misc]
    features: int = 32
    layers: int = 4
    kernel: int = 3
    context_features: int = 8

    @nn.compact
    def __call__(self, h: Array, lead: Sequence[int] | None = None) -> Distribution:
        event = tuple(self.event_shape)
        if len(event) != 3:
            raise InputError(
                f"event_shape = {event}: must be images (H, W, C) for an autoregressive likelihood"
            )
        context = EventLayer((*event[:2], self.context_features), name="context")(h, lead)[..., 0]
        network = PixelCNN(
            self.levels, self.features, self.layers, self.kernel, dtype=h.dtype, parent=None
        )
        params = self.param(
            "pixelcnn", lambda key: network.init_params(key, event[2], self.context_features)
        )
        return distributions.Autoregressive(context, params, network, event, self.levels)
