"""Denoising autoencoder (Vincent et al., 2010).

It reconstructs x from a copy with a quarter of its entries set to zero.

python -m vae_jax.main --config=configs/denoising_ae.py
    digits, 20 latents: test MSE 0.0096 from clean inputs, 0.0150 from corrupted inputs; 20 s on 2
    CPU cores (AMD EPYC)
"""

from vae_jax.config import Config


def get_config(data: str = "digits") -> Config:
    """The config, for one of the data sets by name."""
    config = Config(name="denoising_ae" if data == "digits" else f"denoising_ae_{data}")
    config.data.name = data
    config.model.posterior = "deterministic"
    config.model.hidden = (400, 200)
    config.model.latent_dim = 20
    config.model.likelihood = "gaussian"
    config.model.init_sigma = 1.0
    config.objective.name = "reconstruction"
    config.objective.corruption = "masking"
    config.objective.corruption_level = 0.25
    config.optimizer.schedule = "cosine"
    return config
