"""beta-VAE, beta = 4, on procedurally rendered sprites (Higgins et al., 2017, ICLR).

The network is from Burgess et al., 2018.

python -m vae_jax.main --config=configs/beta_vae.py
    1,200 steps of 64 images: test ELBO -115.58 +- 0.60 nats, 2 min 50 s on 2 CPU cores (AMD EPYC)

The papers train for 300,000 steps and more: --config.train.num_steps=300000 on a GPU.
"""

from vae_jax.config import Config


def get_config(data: str = "sprites") -> Config:
    """The config, for one of the data sets by name."""
    config = Config(name="beta_vae" if data == "sprites" else f"beta_vae_{data}")
    config.data.name = data
    if data == "sprites":
        config.model.network = "burgess"
    else:
        config.model.hidden = (256,)
    config.model.latent_dim = 10
    config.objective.name = "elbo"
    config.objective.beta = 4.0
    config.optimizer.learning_rate = 5e-4
    config.train.num_steps = 1_200
    config.train.batch_size = 64
    config.train.log_every = 50
    return config
