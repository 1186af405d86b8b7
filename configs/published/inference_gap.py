"""The inference gap in its two parts (Cremer, Li and Duvenaud, 2018, arXiv:1801.03558).

Network 784-200-200-50, binarized dynamically. Published, for a diagonal Gaussian posterior: the
amortization gap is the larger part. Target: the same order.

python -m vae_jax.main --config=published/inference_gap --config.data.dir=DIR
    MNIST

python -m vae_jax.main --config=published/inference_gap:fashion --config.data.path=fashion_mnist.npz
    Fashion-MNIST
"""

from vae_jax.config import Config
from vae_jax.config.published import Bar, Row, check_variant

AMORTIZATION, APPROXIMATION = "metrics/gap/amortization_gap", "metrics/gap/approximation_gap"
BARS = (
    Bar("amortization gap, nats", AMORTIZATION),
    Bar("approximation gap, nats", APPROXIMATION),
    Bar(
        "amortization less approximation, nats",
        AMORTIZATION,
        "above 0",
        at_least=0,
        minus=APPROXIMATION,
    ),
)
SOURCE = "Cremer et al., 2018, Table 2, recalled: the order of the gaps only"
ROWS = {
    "": Row("inference gap, MNIST", BARS, SOURCE, "--config.data.dir=DIR"),
    "fashion": Row(
        "inference gap, Fashion-MNIST", BARS, SOURCE, "--config.data.path=fashion_mnist.npz"
    ),
}


def get_config(variant: str = "") -> Config:
    """The config of a row of `ROWS`."""
    check_variant(variant, ROWS)
    config = Config(name=f"published_inference_gap_{variant}".rstrip("_"))
    config.data.name = "npz" if variant == "fashion" else "mnist"
    config.data.binarization = "dynamic"
    config.data.valid_fraction = 1 / 12
    config.model.network = "mlp"
    config.model.hidden = (200, 200)
    config.model.activation = "tanh"
    config.model.latent_dim = 50
    config.model.likelihood = "bernoulli"
    config.optimizer.schedule = "cosine"
    config.train.batch_size = 100
    config.train.num_steps = 100 * 550  # 100 epochs of 55,000
    config.train.log_every = 550
    config.train.eval_every = 2_750
    config.evaluation.metrics = ("gap",)
    config.evaluation.likelihood_samples = 5_000
    config.evaluation.gap_examples = 200
    config.evaluation.gap_steps = 1_000
    return config
