"""Print the peak memory, in MB, after a small and after a large evaluation of the same kind."""

import pathlib
import resource
import sys

import jax
import jax.numpy as jnp

from vae_jax import VAE, likelihoods, nets, posteriors, priors
from vae_jax.config import Config
from vae_jax.data import ArraySource
from vae_jax.evaluation import make_evaluator
from vae_jax.evaluation.gap import inference_gap
from vae_jax.experiment import metrics
from vae_jax.experiment.measurement import evaluator
from vae_jax.experiment.run import make_run

SHAPE, KEY = (48, 48, 1), jax.random.key(0)


def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def model():
    return VAE(
        nets.MLP((16,)),
        nets.MLP((16,)),
        posteriors.DiagGaussianHead(2),
        priors.StandardNormal(2),
        likelihoods.Bernoulli(SHAPE),
    )


def gap(num_examples):
    x = jnp.zeros((num_examples, *SHAPE))
    params = model().init(KEY, x[:1], KEY)
    inference_gap(model(), params, x, jnp.zeros(num_examples), KEY, num_steps=3)


def draws(num_samples):
    source = ArraySource(jnp.zeros((256, *SHAPE)))
    params = model().init(KEY, source.images[:1], KEY)
    make_evaluator(model(), batch_size=256, num_samples=num_samples)(params, source, KEY)


def metric(name, folder, size):
    config = Config(name="memory")
    config.data.name, config.data.path = "npz", str(pathlib.Path(folder) / f"{size}.npz")
    config.data.streaming, config.data.binarization = True, "none"
    config.model.network, config.model.hidden, config.model.latent_dim = "mlp", (16,), 2
    config.model.likelihood = "gaussian"
    config.evaluation.metrics = (name,)
    if name == "quality":
        config.evaluation.feature_steps, config.evaluation.num_generated = 5, 400
    else:
        config.model.conditioning = "label"
        config.evaluation.augmentation_updates = 20
        config.evaluation.augmentation_examples = 400
    run = make_run(config, pathlib.Path(folder) / f"run-{size}")
    run.workdir.mkdir()
    params = jax.jit(run.model.init)(KEY, jnp.zeros((1, *run.dataset.shape)), KEY)
    terms = evaluator.make_run_evaluator(run)(params, "test")
    metrics.METRICS[name](evaluator.make_context(run, params, terms), KEY)


def main(what, folder=None):
    sizes = {"gap": (10, 100), "draws": (1, 100)}.get(what, (10_000, 60_000))
    for size in sizes:
        if what in ("gap", "draws"):
            {"gap": gap, "draws": draws}[what](size)
        else:
            metric(what, folder, size)
        print(peak(), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
