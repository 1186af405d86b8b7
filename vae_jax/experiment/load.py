"""Load a trained model from its run directory."""

import functools
import math
import os

import jax
import jax.numpy as jnp
import optax

from vae_jax import train
from vae_jax.data.inputs import Inputs
from vae_jax.experiment import builders
from vae_jax.experiment.jax_settings import run_settings
from vae_jax.experiment.selection import Selection, select_checkpoint
from vae_jax.experiment.storage.checkpoint import Checkpoints
from vae_jax.experiment.storage.description import Description
from vae_jax.experiment.storage.workdir import run_workdir
from vae_jax.models.base import Model
from vae_jax.models.trained import TrainedModel
from vae_jax.types import Params


@run_settings()
def load(
    workdir: str | os.PathLike, *, trial: int | str | None = None, step: int | None = None
) -> TrainedModel:
    """Load the model of a run, rebuilt from its saved config.

    The parameters are averages if the run kept an average.

    Args:
      workdir: directory of a run or a sweep.
      trial: required for a sweep: a name such as "beta=4,seed=1", or a number.
      step: a checkpoint; by default the measured checkpoint, see `config.train.select`.

    Raises:
      InputError: there is no run, no such trial, no checkpoint at that step, or a damaged one.
    """
    with Checkpoints(run_workdir(workdir, trial), for_writing=False) as checkpoints:
        selection = select_checkpoint(checkpoints, step=step)
        saved = checkpoints.describe(selection.step)
        model = builders.build_model(saved.config, saved.event_shape, saved.units)
        return load_selected(checkpoints, selection, model)


def load_selected(checkpoints: Checkpoints, selection: Selection, model: Model) -> TrainedModel:
    """Load the selected checkpoint of a run, which has this model."""
    saved = checkpoints.describe(selection.step)
    tx = builders.build_optimizer(saved.config)
    return TrainedModel(
        model,
        restore_params(checkpoints, selection.step, model, tx),
        saved.config,
        selection.step,
        last_step=selection.last_step,
        selection_score=selection.score,
        score_name=selection.score_name,
        inputs=saved.inputs or _known_inputs(saved),
    )


def _known_inputs(saved: Description) -> Inputs:
    """The form of the training data as far as a checkpoint of an earlier version records it."""
    ranges = (saved.data or {}).get("ranges") or {"train": (-math.inf, math.inf)}
    lows, highs = zip(*ranges.values(), strict=True)
    return Inputs(saved.event_shape, (min(lows), max(highs)))


def restore_params(
    checkpoints: Checkpoints, step: int, model: Model, tx: optax.GradientTransformation
) -> Params:
    """Restore the parameters for evaluation at a step; the run has this `model` and `tx`."""
    saved = checkpoints.describe(step)
    ema = saved.config.optimizer.ema_decay > 0
    init = functools.partial(train.init_state, model=model, tx=tx, ema=ema)
    example = jax.ShapeDtypeStruct((1, *saved.event_shape), jnp.float32)
    like = jax.eval_shape(lambda key, x: init(key, x=x), jax.random.key(0), example)
    return checkpoints.restore(step, like).eval_params
