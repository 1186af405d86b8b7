"""MIWAE: a model of a table with missing values, trained by what is observed, that imputes them.

Mattei and Frellsen, 2019, arXiv:1812.02633. Half of the values of every row are hidden before
training, completely at random.

python -m vae_jax.main --config=configs/imputation.py
    the breast-cancer data inside scikit-learn

python -m vae_jax.main --config=configs/imputation.py:npz --config.data.path=mine.npz
    --config.data.missing=true --config.data.hide=0
    your own table, whose missing values are NaN; none are hidden for training

`python -m benchmarks.imputation` repeats the experiment of the authors over 20 masks.
"""

from vae_jax.config import Config


def get_config(data: str = "breast_cancer") -> Config:
    """The config, for one of the data sets by name."""
    config = Config(name="imputation" if data == "breast_cancer" else f"imputation_{data}")
    config.data.name = data
    config.data.hide = 0.5
    config.model.hidden = (64, 64)
    config.model.activation = "tanh"
    config.model.latent_dim = 10
    config.model.likelihood = "student_t"
    config.objective.name = "iwae"
    config.objective.num_samples = 20
    config.train.num_steps = 2_500
    config.train.batch_size = 64
    config.evaluation.metrics = ("likelihood", "imputation")
    config.evaluation.likelihood_samples = 500
    config.evaluation.imputation_samples = 10_000
    return config
