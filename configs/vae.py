"""VAE with Bernoulli likelihood and one hidden layer (Kingma and Welling, 2014, arXiv:1312.6114)."""

from vae_jax.config import Config


def get_config(data: str = "digits") -> Config:
    """The config, for one of the data sets by name."""
    config = Config(name="vae" if data == "digits" else f"vae_{data}")
    config.data.name = data
    config.data.binarization = "none" if data == "sprites" else "dynamic"
    config.model.hidden = (400,)
    config.model.latent_dim = 20
    config.optimizer.schedule = "cosine"
    if data != "digits":
        config.data.valid_fraction = 1 / 12  # 5,000 of MNIST's 60,000
        config.train.num_steps = 8_600  # 20 epochs of the other 55,000
    return config
