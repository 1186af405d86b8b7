"""Models: modules that compose parts and return `Outputs`."""

from vae_jax.models.vae import VAE

__all__ = ["VAE"]
