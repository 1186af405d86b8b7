"""Networks: arrays ``[N, ...]`` to features ``[N, ...]``; one batch axis in, the same one out."""

from vae_jax.nets.conv import ConvDecoder, ConvEncoder, burgess_decoder, burgess_encoder
from vae_jax.nets.convolution import Conv, ConvTranspose
from vae_jax.nets.mlp import MLP

__all__ = ["MLP", "Conv", "ConvDecoder", "ConvEncoder", "ConvTranspose", "burgess_decoder", "burgess_encoder"]
