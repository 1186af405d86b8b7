"""Programs of a training run that compile while it is prepared."""

import contextlib
import importlib

from vae_jax.experiment import builders
from vae_jax.experiment.measurement import ahead
from vae_jax.experiment.measurement.evaluator import compile_ahead
from vae_jax.experiment.measurement.scores import Scorer
from vae_jax.experiment.run import Run
from vae_jax.experiment.training.trainers import Trainer
from vae_jax.nets.attributes import read_attribute


def start_compiling(
    stack: contextlib.ExitStack, trainer: Trainer, run: Run, scorer: Scorer, num_steps: int
) -> None:
    """Begin to compile the first call and the evaluations, until the stack is closed.

    Evaluations compile in their order of use. A model with an optimal sigma is skipped, because its
    evaluation has other parameters than its training.
    """
    pool = ahead.make_pool()
    if pool is None:
        return
    stack.callback(pool.shutdown, wait=False, cancel_futures=True)
    params = trainer.compile_ahead(num_steps, pool)
    if params is not None and not read_attribute(run.model.likelihood, "batch_scale"):
        compile_ahead(run, params, "valid", 1, pool)
        if not builders.is_elbo(run.config):
            scorer.compile_in(pool, params)
        for split in ("valid", "test"):
            compile_ahead(run, params, split, run.config.evaluation.num_samples, pool)
    pool.submit(importlib.import_module, "vae_jax.visualize.all_figures")  # slow: matplotlib
