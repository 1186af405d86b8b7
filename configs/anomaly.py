"""Anomaly detection by likelihood (arXiv:1810.09136).

The anomalies are a removed digit, or MNIST for a model of Fashion-MNIST.

python -m vae_jax.main --config=configs/anomaly.py
    digits without the class 7, dynamically binarized: AUROC 0.837 +- 0.031 by the likelihood, for
    41 sevens and 318 other digits

python -m vae_jax.main --config=configs/anomaly.py:mnist --config.data.dir=DIR
    --config.data.leave_out=2 --config.train.num_steps=4300
    MNIST without the class 2, 10 epochs: AUROC 0.901 +- 0.006 by the likelihood with 100 importance
    samples, of 1,032 twos and 2,000 other digits

python -m vae_jax.main --config=configs/anomaly.py:fashion --config.data.path=fashion_mnist.npz
    --config.data.dir=DIR
    MNIST, from tensorflow-datasets in DIR, is more likely than the clothes that the model was
    trained on: AUROC 0.125 +- 0.006 by the likelihood, 0.977 +- 0.003 by the likelihood less the
    length of a PNG (Serra et al., 2020, arXiv:1909.11480)
"""

from vae_jax.config import Config


def get_config(data: str = "digits") -> Config:
    """The config: leave one class out of a data set by name, or 'fashion' against MNIST."""
    config = Config(name="anomaly" if data == "digits" else f"anomaly_{data}")
    config.model.hidden = (400,)
    config.model.latent_dim = 20
    config.optimizer.schedule = "cosine"
    config.evaluation.metrics = ("anomaly",)
    if data == "fashion":
        config.data.name = "npz"
        config.evaluation.anomaly = "mnist"
        config.model.network = "mlp"
        config.data.valid_fraction = 1 / 12
        config.train.num_steps = 4_300  # 10 epochs
        config.evaluation.likelihood_samples = 100
        return config
    config.data.name = data
    config.data.leave_out = 7
    if data != "digits":
        config.data.valid_fraction = 1 / 12
        config.train.num_steps = 8_600
    return config
