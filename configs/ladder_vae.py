"""Ladder VAE: two stochastic layers, inferred from the top down.

Sonderby et al., 2016, arXiv:1602.02282, but posterior and prior are merged by a network.

python -m vae_jax.main --config=configs/ladder_vae.py --config.hierarchy.merge=precision
    --workdir=runs/ladder_precision
    the merge of the paper: means weighted by precisions

python -m vae_jax.main --config=configs/ladder_vae.py
    digits, dynamically binarized: test ELBO -23.04 +- 0.25 nats (seed 0); 107 s on 2 CPU cores
    under load
"""

from vae_jax.config import Config


def get_config(data: str = "digits") -> Config:
    """The config, for one of the data sets by name."""
    config = Config(name="ladder_vae" if data == "digits" else f"ladder_vae_{data}")
    config.data.name = data
    config.model.kind = "hierarchical"
    config.hierarchy.latents = (10, 20)
    config.hierarchy.widths = (128, 256)
    config.objective.beta_schedule = "linear"
    config.objective.beta_steps = 500
    config.optimizer.schedule = "cosine"
    return config
