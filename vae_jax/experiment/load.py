"""Load a trained model from its run directory."""

import functools
import os

import jax
import jax.numpy as jnp

from vae_jax import train
from vae_jax.errors import InputError
from vae_jax.experiment import builders
from vae_jax.experiment.storage.workdir import run_workdir
from vae_jax.models.trained import TrainedModel


def load(
    workdir: str | os.PathLike, *, trial: int | str | None = None, step: int | None = None
) -> TrainedModel:
    """The model that a run left in its workdir, rebuilt from its saved config; the best on validation, or that of `step`.

    The parameters are the averaged ones where the run kept an average. Of a sweep, `trial` says which: by its name, such as
    "beta=4,seed=1", or by its number.

    Raises:
      InputError: no run there, no such trial, no checkpoint at that step, or a damaged one.
    """
    from vae_jax.experiment.storage.checkpoint import (
        Checkpoints,  # Orbax: slow to import, and importers of parts don't need it
    )

    workdir = run_workdir(workdir, trial)
    with Checkpoints(workdir, for_writing=False) as checkpoints:
        steps, step = checkpoints.steps(), checkpoints.best_step() if step is None else step
        if step not in steps:
            wanted = (
                "no checkpoint that can be read"
                if step is None
                else f"step = {step}: no such checkpoint"
            )
            raise InputError(f"{wanted} in {checkpoints.directory}; there are {steps}")
        saved = checkpoints.describe(step)
        model, tx = (
            builders.build_model(saved.config, saved.event_shape),
            builders.build_optimizer(saved.config),
        )
        example = jax.ShapeDtypeStruct((1, *saved.event_shape), jnp.float32)
        init = functools.partial(
            train.init_state, model=model, tx=tx, ema=saved.config.optimizer.ema_decay > 0
        )
        like = jax.eval_shape(lambda key, x: init(key, x=x), jax.random.key(0), example)
        state = checkpoints.restore(step, like)
    return TrainedModel(model, state.eval_params, saved.config, step)
