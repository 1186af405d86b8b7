"""Linear VAE: probabilistic PCA by gradient descent (Lucas et al., 2019, arXiv:1911.02469).

Without hidden layers and with a learned noise variance, its optimum has a closed form, and is
reached: see tests/models/test_linear_vae.py.

python -m vae_jax.main --config=configs/linear_vae.py
    digits, 2 latents: test ELBO -0.85 +- 0.59 nats (a density of values in [0, 1]); 20 s on 2 CPU
    cores (AMD EPYC)
"""

from vae_jax.config import Config


def get_config(data: str = "digits") -> Config:
    """The config, for one of the data sets by name."""
    config = Config(name="linear_vae" if data == "digits" else f"linear_vae_{data}")
    config.data.name = data
    config.model.network = "mlp"
    config.model.hidden = ()
    config.model.latent_dim = 2
    config.model.likelihood = "gaussian"
    config.model.sigma = "scalar"
    config.optimizer.learning_rate = 1e-2
    config.optimizer.schedule = "cosine"
    return config
