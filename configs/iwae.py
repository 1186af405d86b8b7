"""Importance-weighted autoencoder with 50 samples.

Burda, Grosse and Salakhutdinov, 2016, arXiv:1509.00519.

python -m vae_jax.main --config=configs/iwae.py
    digits, dynamically binarized: test ELBO -26.94 +- 0.38 nats (seed 0); log p(x) -22.60 +- 0.20
    with 1,000 importance samples; 38 s on 2 CPU cores under load

--config.objective.name=dreg is the doubly reparameterized gradient of Tucker et al., 2019,
arXiv:1810.04152; stl, miwae, piwae, ciwae and renyi are its relatives.
"""

from vae_jax.config import Config


def get_config(data: str = "digits") -> Config:
    """The config, for one of the data sets by name."""
    config = Config(name="iwae" if data == "digits" else f"iwae_{data}")
    config.data.name = data
    config.model.hidden = (400,)
    config.model.latent_dim = 20
    config.objective.name = "iwae"
    config.objective.num_samples = 50
    config.evaluation.metrics = ("likelihood",)
    config.optimizer.schedule = "cosine"
    return config
