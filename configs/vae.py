"""VAE with Bernoulli likelihood and one hidden layer (Kingma and Welling, 2014, arXiv:1312.6114)."""

from vae_jax.config import Config


def get_config(data: str = "digits") -> Config:
    """The config, for one of the data sets by name."""
    config = Config(name="vae" if data == "digits" else f"vae_{data}")
    config.data.name = data
    config.data.binarization = "dynamic"
    config.model.hidden = (400,)
    config.model.latent_dim = 20
    config.optimizer.schedule = "cosine"
    config.train.num_steps = 2_000 if data == "digits" else 8_400
    return config
