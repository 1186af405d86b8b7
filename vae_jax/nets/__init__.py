"""Networks: arrays ``[N, ...]`` to features ``[N, ...]``, with one batch axis.

Without a condition a network is called with one argument; c [N, C], if any, is its second.

A network computes in its `dtype` (None: the dtype of inputs and parameters), which is also the
dtype of its features; the head that follows uses the same for its linear map. With bfloat16,
parameters, distributions and the optimizer stay float32.

>>> import jax
>>> import jax.numpy as jnp
>>> from vae_jax import nets
>>> mlp = nets.MLP(features=(64, 32))
>>> x = jnp.ones((8, 28, 28, 1))
>>> mlp.apply(mlp.init(jax.random.key(0), x), x).shape
(8, 32)
"""

from vae_jax.nets.broadcast import BroadcastDecoder
from vae_jax.nets.conditioning import OneHot, SizeFactor, Vector
from vae_jax.nets.conv import ConvDecoder, ConvEncoder, burgess_decoder, burgess_encoder
from vae_jax.nets.convolution import Conv, ConvTranspose
from vae_jax.nets.dense import Dense
from vae_jax.nets.heads import Classifier, Critic, Regressor
from vae_jax.nets.mlp import MLP, Constant
from vae_jax.nets.pixelcnn import PixelCNN
from vae_jax.nets.recurrent import CausalGRU
from vae_jax.nets.resnet import ResNetDecoder, ResNetEncoder
from vae_jax.nets.sequence import SequenceEncoder
from vae_jax.nets.transformer import CausalTransformer
from vae_jax.nets.units import Units

__all__ = [
    "MLP",
    "BroadcastDecoder",
    "CausalGRU",
    "CausalTransformer",
    "Classifier",
    "Constant",
    "Conv",
    "ConvDecoder",
    "ConvEncoder",
    "ConvTranspose",
    "Critic",
    "Dense",
    "OneHot",
    "PixelCNN",
    "Regressor",
    "ResNetDecoder",
    "ResNetEncoder",
    "SequenceEncoder",
    "SizeFactor",
    "Units",
    "Vector",
    "burgess_decoder",
    "burgess_encoder",
]
