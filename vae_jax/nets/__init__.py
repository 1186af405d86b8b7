"""Networks: arrays ``[N, ...]`` to features ``[N, ...]``; one batch axis in, the same one out.

Where there is a condition, c [N, C], a network takes it as its second argument.

A network computes in its `dtype` (None: that of its inputs and parameters) and its features have it; the head that follows
takes its linear map in the same. With bfloat16, the parameters and all that is not a network, from the parameters of a
distribution to the optimizer, stay float32.
"""

from vae_jax.nets.conditioning import OneHot, Vector
from vae_jax.nets.conv import ConvDecoder, ConvEncoder, burgess_decoder, burgess_encoder
from vae_jax.nets.convolution import Conv, ConvTranspose
from vae_jax.nets.dense import Dense
from vae_jax.nets.heads import Classifier, Critic
from vae_jax.nets.mlp import MLP
from vae_jax.nets.pixelcnn import PixelCNN
from vae_jax.nets.resnet import ResNetDecoder, ResNetEncoder

__all__ = [
    "MLP",
    "Classifier",
    "Conv",
    "ConvDecoder",
    "ConvEncoder",
    "ConvTranspose",
    "Critic",
    "Dense",
    "OneHot",
    "PixelCNN",
    "ResNetDecoder",
    "ResNetEncoder",
    "Vector",
    "burgess_decoder",
    "burgess_encoder",
]
