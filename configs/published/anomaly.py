"""Likelihood fails to find anomalies, and its correction (Fashion-MNIST against MNIST).

Nalisnick et al., 2019, arXiv:1810.09136; Serra et al., 2020, arXiv:1909.11480.

python -m vae_jax.main --config=published/anomaly --config.data.path=fashion_mnist.npz
    --config.data.dir=DIR
    A VAE of Fashion-MNIST finds MNIST, from tensorflow-datasets in DIR, more likely than clothes.
    Published for a PixelCNN: AUROC 0.089 by the likelihood, 0.994 by the likelihood ratio. Target:
    below 0.5 by the likelihood, at least 0.95 by the likelihood less the length of a PNG
"""

from vae_jax.config import Config
from vae_jax.config.published import Bar, Row, check_variant

SCORES = "metrics/anomaly/scores"
ROWS = {
    "": Row(
        "anomalies, Fashion-MNIST against MNIST",
        (
            Bar(
                "AUROC by the likelihood",
                f"{SCORES}/likelihood/auroc",
                "0.089",
                at_most=0.5,
                digits=3,
            ),
            Bar(
                "AUROC, likelihood less PNG",
                f"{SCORES}/likelihood_less_[png]/auroc",
                "0.994",
                at_least=0.95,
                digits=3,
            ),
        ),
        "Ren et al., 2019, a PixelCNN and its likelihood ratio, recalled",
        "--config.data.path=fashion_mnist.npz --config.data.dir=DIR",
        "The published correction is another one, the likelihood ratio.",
    ),
}


def get_config(variant: str = "") -> Config:
    """The config of the row."""
    check_variant(variant, ROWS)
    config = Config(name="published_anomaly")
    config.data.name = "npz"
    config.data.valid_fraction = 1 / 12
    config.model.network = "mlp"
    config.model.hidden = (400,)
    config.model.latent_dim = 20
    config.optimizer.schedule = "cosine"
    config.train.num_steps = 4_300  # 10 epochs of 55,000
    config.evaluation.metrics = ("anomaly",)
    config.evaluation.anomaly = "mnist"
    config.evaluation.likelihood_samples = 100
    config.sweep.seed = (0, 1, 2)
    return config
