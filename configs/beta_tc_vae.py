"""beta-TCVAE with stratified weights and beta = 6 (Chen et al., 2018, arXiv:1802.04942) on sprites.

python -m vae_jax.main --config=configs/beta_tc_vae.py
    1,200 steps of 64 sprites: test ELBO -125.25 +- 0.67 nats (seed 0); 4 min on 2 CPU cores under
    load

The papers train for 300,000 steps and more: --config.train.num_steps=300000 on a GPU.
"""

from vae_jax.config import Config


def get_config(data: str = "sprites") -> Config:
    """The config, for one of the data sets by name."""
    config = Config(name="beta_tc_vae" if data == "sprites" else f"beta_tc_vae_{data}")
    config.data.name = data
    if data == "sprites":
        config.model.network = "burgess"
    else:
        config.model.hidden = (256,)
    config.model.latent_dim = 10
    config.objective.name = "beta_tc"
    config.objective.tc_weight = 6.0
    config.optimizer.learning_rate = 5e-4
    config.train.num_steps = 1_200
    config.train.batch_size = 64
    config.train.log_every = 50
    return config
