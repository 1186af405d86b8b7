"""Final numbers and figures of a run, or of the trials of a sweep."""

import os
from collections.abc import Sequence
from typing import Any

from vae_jax.config import Config, sweep
from vae_jax.errors import InputError, explain_interrupt
from vae_jax.experiment.figures import plot_runs
from vae_jax.experiment.jax_settings import run_settings
from vae_jax.experiment.measurement.best import Best, load_best
from vae_jax.experiment.measurement.numbers import evaluate_run
from vae_jax.experiment.overrides import advise_evaluation, apply_override
from vae_jax.experiment.run import Run, make_runs, resolve_like
from vae_jax.experiment.storage.workdir import read_config
from vae_jax.experiment.sweeps.results import Announce, evaluate_trials, write_sweep
from vae_jax.files import as_path


@run_settings()
def evaluate_workdir(
    workdir: str | os.PathLike, override: Config | None = None, announce: Announce | None = None
) -> dict[str, Any]:
    """Evaluate a run, or every trial of a sweep, again, and plot it; returns the results.

    `override` may differ from the saved config in `evaluation`, in the location of the data, and
    in `train.select`. `announce` is called with the results before the figures are plotted.
    """
    config = apply_override(override, read_config(as_path(workdir)), workdir)
    runs = make_runs(config, workdir)
    config = resolve_like(config, runs[0])
    bests = [load_best(run) for run in runs]
    return evaluate_runs(runs, bests, config, workdir, is_training=False, announce=announce)


def evaluate_runs(
    runs: Sequence[Run],
    bests: Sequence[Best | InputError],
    config: Config,
    workdir: str | os.PathLike,
    *,
    is_training: bool = True,
    announce: Announce | None = None,
) -> dict[str, Any]:
    """Evaluate the one run of a config, or the trials of its sweep, at their best checkpoints.

    `announce` is called with the results before the figures are plotted.

    Raises:
      InputError: the checkpoint of the run is unusable.
      RunStopped: `evaluate_run` raises it, or trials failed.
      Interrupted: Ctrl-C; the message has the command that evaluates the run.
    """
    with explain_interrupt(lambda: advise_evaluation(workdir, is_training=is_training)):
        if sweep.sweep_lists(config):
            trials, failed, contexts = evaluate_trials(runs, bests, is_training=is_training)
            models = [
                (run, best.params)
                for run, best in zip(runs, bests, strict=True)
                if run.workdir.name in trials
            ]
            later = {"contexts": contexts, "announce": announce}
            return write_sweep(runs, trials, failed, models, config, as_path(workdir), **later)
        (best,) = bests
        if isinstance(best, InputError):
            raise best
        numbers, context = evaluate_run(runs[0], *best, is_training=is_training)
        if announce is not None:
            announce(numbers)
        plot_runs([context])
        return numbers
