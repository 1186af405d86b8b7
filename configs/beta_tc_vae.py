"""beta-TCVAE (Chen et al., 2018, arXiv:1802.04942) on procedurally rendered sprites.

python -m vae_jax.main --config=configs/beta_tc_vae.py
    6,000 steps of 32 sprites, beta = 10: test ELBO -123.39 +- 0.71 nats (seed 0), 3 min 16 s on 2
    CPU cores. Position x, position y and scale have a latent each, and the remaining seven are not
    used: mutual information gap 0.43, --config.evaluation.metrics=disentanglement.

python -m vae_jax.main --config=configs/beta_tc_vae.py:burgess
    1,200 steps of 64 sprites, beta = 6: test ELBO -125.25 +- 0.67 nats (seed 0); 4 min on 2 CPU
    cores under load. The papers train this network for 300,000 steps and more:
    --config.train.num_steps=300000 on a GPU.

The decoder, after Watters et al., 2019, is told where each pixel is. The weights of the batch are
stratified.
"""

from vae_jax.config import Config


def get_config(data: str = "sprites") -> Config:
    """The config, for one of the data sets by name, or with the settings of the papers."""
    config = Config(name="beta_tc_vae" if data == "sprites" else f"beta_tc_vae_{data}")
    config.data.name = "sprites" if data == "burgess" else data
    config.model.latent_dim = 10
    config.objective.name = "beta_tc"
    if data == "sprites":
        config.model.network = "broadcast"
        config.model.channels = (16, 32, 64)
        config.model.hidden = (128,)
        config.objective.tc_weight = 10.0
        config.optimizer.learning_rate = 2e-3
        config.optimizer.schedule = "cosine"
        config.optimizer.warmup_steps = 100
        config.train.num_steps = 6_000
        config.train.batch_size = 32
        config.train.log_every = 100
        return config
    if data == "burgess":
        config.model.network = "burgess"
    else:
        config.model.hidden = (256,)
    config.objective.tc_weight = 6.0
    config.optimizer.learning_rate = 5e-4
    config.train.num_steps = 1_200
    config.train.batch_size = 64
    config.train.log_every = 50
    return config
