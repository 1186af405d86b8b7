"""Linear VAE = probabilistic PCA, in closed form (Tipping and Bishop, 1999; Lucas et al., 2019).

Published: the optimum itself. Target: the exact ELBO within 1e-4 of it, relative, the subspace
within 0.01 radians, sigma^2 within 0.5 %, and as many collapsed latents as the theory says.

python -m vae_jax.main --config=published/linear_vae --config.data.path=linear_gaussian.npz
    5,000 images of 8x8 by `python -m benchmarks.linear_gaussian`: 5 variances above the noise

python -m vae_jax.main --config=published/linear_vae:fixed
    --config.data.path=linear_gaussian.npz
    the same with sigma fixed between the variances, so that 2 of 5 latents have to collapse

python -m vae_jax.main --config=published/linear_vae:frey --config.data.path=frey_faces.npz
    1,965 Frey faces of 28x20, 4 latents; a seed of each takes some minutes on 2 CPU cores
"""

from vae_jax.config import Config
from vae_jax.config.published import Bar, Row, check_variant

SOURCE = "closed form, arXiv:1911.02469"
BARS = (
    Bar(
        "ELBO below the optimum, relative",
        "metrics/ppca/relative_error",
        "0",
        at_most=1e-4,
        digits=7,
    ),
    Bar("subspace angle, radians", "metrics/ppca/subspace_angle", "0", at_most=1e-2, digits=4),
    Bar("error of sigma^2, relative", "metrics/ppca/variance_error", "0", at_most=5e-3, digits=5),
    Bar(
        "used latents, difference from theory",
        "metrics/ppca/latents_difference",
        "0",
        at_most=0,
        at_least=0,
        digits=0,
    ),
)
FIXED_BARS = (BARS[0], BARS[1], BARS[3])
ROWS = {
    "": Row(
        "linear VAE, synthetic images, learned sigma",
        BARS,
        SOURCE,
        flags="--config.data.path=linear_gaussian.npz",
    ),
    "fixed": Row(
        "linear VAE, synthetic images, fixed sigma",
        FIXED_BARS,
        SOURCE,
        flags="--config.data.path=linear_gaussian.npz",
    ),
    "frey": Row(
        "linear VAE, Frey faces",
        BARS,
        SOURCE,
        flags="--config.data.path=frey_faces.npz",
    ),
}


def get_config(variant: str = "") -> Config:
    """The config of a row of `ROWS`."""
    check_variant(variant, ROWS)
    is_frey = variant == "frey"
    config = Config(name=f"published_linear_vae_{variant}".rstrip("_"))
    config.data.name = "npz"
    config.model.network = "mlp"
    config.model.hidden = ()
    config.model.latent_dim = 4 if is_frey else 5
    config.model.likelihood = "gaussian"
    config.model.sigma = "scalar"
    config.model.init_sigma = 0.1 if is_frey else 1.0
    if variant == "fixed":  # in standard deviations of the data, which have 1.12
        config.model.sigma, config.model.init_sigma = "fixed", 1.6
    config.optimizer.learning_rate = 1e-2 if is_frey else 3e-3
    config.optimizer.schedule = "cosine"
    config.train.num_steps = 100_000 if is_frey else 20_000
    config.train.batch_size = 500
    if not is_frey:
        config.objective.num_samples = 4
        config.train.batch_size = 3_600  # the training split
    config.train.log_every = 1_000
    config.train.eval_every = 10_000
    config.train.select = "last"
    config.evaluation.metrics = ("ppca",)
    config.sweep.seed = (0, 1, 2)
    return config
