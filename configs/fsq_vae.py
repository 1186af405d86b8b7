"""VAE with finite scalar quantization, 2x2 codes of 8 x 5 levels.

Mentzer et al., 2023, arXiv:2309.15505.

python -m vae_jax.main --config=configs/fsq_vae.py
    digits, dynamically binarized: test ELBO -27.11 +- 0.19 nats (seed 0); 7 min on 2 CPU cores
    under load, measured before the prior's optimizer changed
"""

from vae_jax.config import Config


def get_config(data: str = "digits") -> Config:
    """The config, for one of the data sets by name."""
    config = Config(name="fsq_vae" if data == "digits" else f"fsq_vae_{data}")
    config.data.name = data
    config.model.kind = "vq"
    config.model.channels = (32, 64)
    config.codes.quantizer = "fsq"
    config.codes.levels = (8, 5) if data == "digits" else (8, 6, 5)
    config.codes.prior = "pixelcnn"
    config.codes.prior_steps = 1_000
    config.codes.prior_features = 32
    config.objective.name = "vq"
    config.optimizer.schedule = "cosine"
    config.train.num_steps = 2_000
    return config
