"""VAE with Bernoulli likelihood and one hidden layer of 400.

Kingma and Welling, 2014, arXiv:1312.6114.

python -m vae_jax.main --config=configs/vae.py
    digits, dynamically binarized: test ELBO -23.67 +- 0.24 nats; 20 s on 2 CPU cores (AMD EPYC)

python -m vae_jax.main --config=configs/vae.py:mnist --config.data.dir=DIR
    784-400-20-400-784, 20 epochs of 55,000, dynamically binarized: -101.04 and -100.89 nats (seeds
    0 and 1, +- 0.26 over the 10,000 test images); 72 s on the same machine

python -m vae_jax.main --config=configs/vae.py:mnist --config.data.dir=DIR
    --config.model.hidden=500,500 --config.model.latent_dim=40 --config.train.num_steps=21500
    50 epochs: -93.32 nats (seed 0, +- 0.25)
"""

from vae_jax.config import Config


def get_config(data: str = "digits") -> Config:
    """The config, for one of the data sets by name."""
    config = Config(name="vae" if data == "digits" else f"vae_{data}")
    config.data.name = data
    config.model.hidden = (400,)
    config.model.latent_dim = 20
    config.optimizer.schedule = "cosine"
    if data != "digits":
        config.data.valid_fraction = 1 / 12  # 5,000 of MNIST's 60,000
        config.train.num_steps = 8_600  # 20 epochs of the other 55,000
    return config
