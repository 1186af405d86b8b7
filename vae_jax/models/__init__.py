"""Models: modules that compose parts and return `Outputs`."""

from vae_jax.errors import UnsupportedError
from vae_jax.models.base import LatentModel, Model
from vae_jax.models.hierarchical import Hierarchical
from vae_jax.models.ladder_levels import Level, map_levels, vector_levels
from vae_jax.models.stacked import Stacked
from vae_jax.models.vae import VAE
from vae_jax.models.vqvae import VQVAE

__all__ = [
    "VAE",
    "VQVAE",
    "Hierarchical",
    "LatentModel",
    "Level",
    "Model",
    "Stacked",
    "UnsupportedError",
    "map_levels",
    "vector_levels",
]
