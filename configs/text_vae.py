"""VAE of lines of text: names of Unicode characters, letter by letter.

Bowman et al., 2016, arXiv:1511.06349: a recurrent decoder that sees only some of the earlier
letters, so that it has to use z.

python -m vae_jax.main --config=configs/text_vae.py
    unicode_names: test ELBO -29.13 +- 0.62 nats, 1.74 bits/token, trigrams 2.57 (seed 0); 90 s on
    2 CPU cores

python -m vae_jax.main --config=configs/text_vae.py:text --config.data.path=mine.txt
    your own lines
"""

from vae_jax.config import Config


def get_config(data: str = "unicode_names") -> Config:
    """The config for a data set of lines."""
    config = Config(name="text_vae" if data == "unicode_names" else f"text_vae_{data}")
    config.data.name = data
    config.model.latent_dim = 32
    config.model.encoder_width = 64
    config.model.decoder_width = 128
    config.objective.token_dropout = 0.3
    config.objective.beta_schedule = "linear"
    config.objective.beta_steps = 500
    config.optimizer.learning_rate = 2e-3
    config.optimizer.schedule = "cosine"
    config.train.order = "by_length"
    return config
