"""The programs of a run, lowered for CPU, GPU and TPU on a machine that has only a CPU.

`jax.export` compiles nothing, but finds what cannot be expressed on a platform.
"""

import jax
import jax.export  # not loaded by `import jax`
import jax.numpy as jnp

from vae_jax.evaluation import make_evaluator
from vae_jax.evaluation.sigma import with_fixed_sigma
from vae_jax.experiment import builders
from vae_jax.experiment.training import trainers

PLATFORMS = ("cpu", "cuda", "tpu")


def exported(program, *arguments):
    """Return the exported program; its text has a module for all platforms."""
    result = jax.export.export(program, platforms=PLATFORMS)(*arguments)
    assert result.platforms == PLATFORMS
    return result


def export_run(run):
    """Export the training steps and the evaluation of a run."""
    config, source = run.config, run.dataset.train
    state = jax.eval_shape(
        lambda source: trainers.initial_state(config, run.model, run.tx, source), source
    )
    exported(trainers.SingleRunTrainer(run).epoch(2).function, state, source)

    model, key = with_fixed_sigma(run.model), jax.random.key(0)
    x = jax.ShapeDtypeStruct((1, *run.dataset.shape), jnp.float32)
    params = jax.eval_shape(model.init, key, x, key)
    program = make_evaluator(
        model,
        batch_size=config.evaluation.batch_size,
        corruption=builders.build_corruption(config),
    ).run
    calls, _ = program.plan_calls(run.dataset.test)
    assert exported(program.some_batches, params, run.dataset.test, key, *calls[0]).out_avals
