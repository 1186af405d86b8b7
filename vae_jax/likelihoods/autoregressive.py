"""A likelihood whose pixels see one another: each given z and the pixels before it."""

from collections.abc import Sequence

from flax import linen as nn

from vae_jax import distributions
from vae_jax.distributions import Distribution
from vae_jax.errors import InputError
from vae_jax.likelihoods.event import EventLayer, GridLikelihood
from vae_jax.nets.pixelcnn import PixelCNN
from vae_jax.types import Array


class Autoregressive(GridLikelihood):
    """p(x | z) = prod_i p(x_i | x_1 .. x_{i-1}, z), a gated PixelCNN conditioned on a map of the decoder's features.

    For images [H, W, C] whose values are k / (levels - 1): Bernoulli factors for two levels, categorical ones for more. The
    PixelVAE of Gulrajani et al., 2017, arXiv:1611.05013.

    A decoder that models all dependence between pixels by itself has little use for z, and the rate falls. How much it can is
    a matter of its field of view, layers (kernel // 2) pixels beyond the neighbors (see `nets.pixelcnn`): with a small one, z
    is left what is further apart, as in the lossy VAE of Chen et al., 2017, arXiv:1611.02731; with a large one this is the test
    bed of posterior collapse.

    Scoring is one pass of the network for each z, drawing H W C of them. `context_features` is the depth of the map; after a
    decoder without maps it is a dense layer of H W context_features outputs. InputError for events that are no images.
    """

    levels: int = 2
    features: int = 32
    layers: int = 4
    kernel: int = 3
    context_features: int = 8

    @nn.compact
    def __call__(self, h: Array, lead: Sequence[int] | None = None) -> Distribution:
        event = tuple(self.event_shape)
        if len(event) != 3:
            raise InputError(
                f"event_shape = {event}: must be (H, W, C), images, for an autoregressive likelihood"
            )
        context = EventLayer((*event[:2], self.context_features), name="context")(h, lead)[..., 0]
        sizes = {
            "features": self.features,
            "layers": self.layers,
            "kernel": self.kernel,
            "dtype": h.dtype,
        }
        network = PixelCNN(self.levels, **sizes, parent=None)
        params = self.param(
            "pixelcnn", lambda key: network.init_params(key, event[2], self.context_features)
        )
        return distributions.Autoregressive(context, params, network, event, self.levels)
