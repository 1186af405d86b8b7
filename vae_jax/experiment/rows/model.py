"""The model of a finished run, as rows are answered with it."""

import os
from typing import NamedTuple

from vae_jax.config import Config, sweep
from vae_jax.data.inputs import Inputs
from vae_jax.errors import InputError
from vae_jax.evaluation.sigma import with_fixed_sigma
from vae_jax.experiment.load import load
from vae_jax.experiment.measurement.best import load_best
from vae_jax.experiment.overrides import apply_override
from vae_jax.experiment.run import Run, make_run
from vae_jax.experiment.selection import is_out_of_patience
from vae_jax.experiment.storage.checkpoint import Checkpoints
from vae_jax.experiment.storage.workdir import read_config
from vae_jax.files import Path, as_path
from vae_jax.models.trained import TrainedModel
from vae_jax.nets.attributes import read_attribute


class FinishedRun(NamedTuple):
    """A trained model, and its run with the data unless they were not needed."""

    config: Config
    workdir: Path
    model: TrainedModel
    run: Run | None


def open_run(
    workdir: str | os.PathLike, override: Config | None, *, with_data: bool
) -> FinishedRun:
    """Load the model of a finished run, at the checkpoint that its results measured.

    Args:
      workdir: directory of the run.
      override: the config with other evaluation fields or another location of the data, if any.
      with_data: load the data too. They are also loaded if the model's sigma is optimal for a
        batch: rows are answered with the sigma of the training set.

    Raises:
      InputError: no run, a sweep, or a run that is not finished.
    """
    folder = as_path(workdir)
    saved = read_config(folder)
    if sweep.sweep_lists(saved):
        names = ", ".join(sweep.trial_configs(saved))
        raise InputError(
            f"workdir = {os.fspath(workdir)!r}: holds a sweep; use the folder of one of its trials "
            f"in {os.fspath(folder / 'trials')}: {names}"
        )
    _check_finished(folder, saved)
    if not with_data:
        model = load(folder)
        if not read_attribute(model.model.likelihood, "batch_scale"):
            return FinishedRun(override or saved, folder, model, None)
    run = make_run(apply_override(override, saved, workdir), workdir)
    best = load_best(run)
    if isinstance(best, InputError):
        raise best
    model = TrainedModel(
        with_fixed_sigma(run.model),
        best.params,
        run.config,
        best.selection.step,
        last_step=best.selection.last_step,
        selection_score=best.selection.score,
        score_name=best.selection.score_name,
        inputs=Inputs.of(run.dataset),
    )
    return FinishedRun(run.config, folder, model, run)


def _check_finished(workdir: Path, config: Config) -> None:
    """Raises InputError unless the training has come to its end."""
    with Checkpoints(workdir, for_writing=False) as checkpoints:
        step = checkpoints.last_step() or 0
        if step < config.train.num_steps and not is_out_of_patience(config, checkpoints):
            raise InputError(
                f"workdir = {os.fspath(workdir)!r}: the run is not finished, at step {step} of "
                f"{config.train.num_steps}; train it to its end with the command that began it"
            )
