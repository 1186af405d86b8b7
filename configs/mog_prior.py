"""VAE with a mixture of 50 learned Gaussians as prior.

Dilokthanakul et al., 2016, arXiv:1611.02648.

python -m vae_jax.main --config=configs/mog_prior.py
    digits, dynamically binarized: test ELBO -23.51 +- 0.21 nats (seed 0); 24 s on 2 CPU cores under
    load
"""

from vae_jax.config import Config


def get_config(data: str = "digits") -> Config:
    """The config, for one of the data sets by name."""
    config = Config(name="mog_prior" if data == "digits" else f"mog_prior_{data}")
    config.data.name = data
    config.model.hidden = (400,)
    config.model.latent_dim = 20
    config.model.prior = "mixture"
    config.model.prior_components = 50
    config.optimizer.schedule = "cosine"
    return config
