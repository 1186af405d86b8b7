"""beta-VAE on procedurally rendered sprites (Higgins et al., 2017, ICLR).

python -m vae_jax.main --config=configs/beta_vae.py
    Dense layers as in the paper, but smaller, and beta = 1 for the sake of the reconstructions:
    4,500 steps of 96 images. Test ELBO -69.87 +- 0.32 nats (seed 0), mean squared error 0.0029,
    2 min 52 s on 2 CPU cores. Its latents mix the factors; those of configs/beta_tc_vae.py do not.

python -m vae_jax.main --config=configs/beta_vae.py:burgess
    beta = 4 and the network of Burgess et al., 2018: 1,200 steps, test ELBO -115.58 +- 0.60 nats,
    2 min 50 s. The papers train for 300,000 steps and more: --config.train.num_steps=300000 on a
    GPU.
"""

from vae_jax.config import Config


def get_config(data: str = "sprites") -> Config:
    """The config, for one of the data sets by name, or with the settings of Burgess et al."""
    config = Config(name="beta_vae" if data == "sprites" else f"beta_vae_{data}")
    config.data.name = "sprites" if data == "burgess" else data
    config.model.latent_dim = 10
    config.objective.name = "elbo"
    config.train.batch_size = 64
    if data == "sprites":
        config.model.network = "mlp"
        config.model.hidden = (512, 512)
        config.model.activation = "silu"
        config.objective.beta = 1.0
        config.optimizer.learning_rate = 4e-3
        config.optimizer.schedule = "cosine"
        config.optimizer.warmup_steps = 300
        config.train.num_steps = 4_500
        config.train.batch_size = 96
        config.train.log_every = 100
        return config
    if data == "burgess":
        config.model.network = "burgess"
    else:
        config.model.hidden = (256,)
    config.objective.beta = 4.0
    config.optimizer.learning_rate = 5e-4
    config.train.num_steps = 1_200
    config.train.log_every = 50
    return config
