"""The training loop: compiled calls, evaluations and checkpoints in between, and what stops it."""

import contextlib
import functools
import logging
import math
import os
from collections.abc import Iterator, Sequence
from typing import Any

import jax

from vae_jax import config as config_lib
from vae_jax.config import Config, sweep
from vae_jax.config.sweep import Share
from vae_jax.data.identity import data_identity, describe_data
from vae_jax.errors import InputError, RunDiverged, RunStopped, explain_interrupt
from vae_jax.evaluation.progress import Progress
from vae_jax.experiment import processes
from vae_jax.experiment.evaluate import evaluate_runs
from vae_jax.experiment.figures import plot_runs
from vae_jax.experiment.jax_settings import run_settings
from vae_jax.experiment.measurement.best import Best, find_best
from vae_jax.experiment.measurement.scores import make_scorers
from vae_jax.experiment.overrides import advise_evaluation
from vae_jax.experiment.run import Run, prepare_runs
from vae_jax.experiment.storage.checkpoint import Checkpoints, restore_latest
from vae_jax.experiment.storage.damage import DamagedError
from vae_jax.experiment.storage.description import check_same_data
from vae_jax.experiment.storage.workdir import claim_workdir
from vae_jax.experiment.sweeps.results import Announce, evaluate_trials
from vae_jax.experiment.sweeps.shares import claim_share, join_results, select_share
from vae_jax.experiment.training.compilation import start_compiling
from vae_jax.experiment.training.interruption import Interruption
from vae_jax.experiment.training.recorder import (
    Recorder,
    advise_again,
    are_finished,
    describe_latest,
    save_all,
)
from vae_jax.experiment.training.trainers import Trainer, make_trainer
from vae_jax.files import Path, as_path
from vae_jax.train import TrainState
from vae_jax.types import Metrics

logger = logging.getLogger(__name__)

LINE_SECONDS = 5.0  # seconds between log lines during training, without a terminal


@run_settings()
def train_and_evaluate(
    config: Config,
    workdir: str | os.PathLike,
    *,
    share: Share | None = None,
    announce: Announce | None = None,
) -> dict[str, Any]:
    """Train to `config.train.num_steps`, evaluate, and return the results.

    With `config.train.patience`, training stops earlier, in a sweep once all trials have
    stopped: until then a stopped trial is computed but no longer recorded. Resumes from the latest
    checkpoint in the workdir if any. With a sweep, trains and evaluates every trial, or the trials
    of a share; the last process to finish joins the results. `announce` is called with the results
    before the figures are plotted, or after the figures of the trials of a share.

    Raises:
      InputError: the config, data, workdir or share is invalid, or of another run.
      RunDiverged: too many non-finite steps in a row, or an evaluation that is not finite.
      RunStopped: a checkpoint could not be written.
      Interrupted: Ctrl-C or SIGTERM; the message has the command that continues.
    """
    runs, config = processes.together(functools.partial(prepare_runs, config, workdir))
    if share is not None:
        numbers = _train_share(runs, config, as_path(workdir), share)
        if announce is not None:
            announce(numbers)
        return numbers
    check_batch(runs)
    with contextlib.ExitStack() as stack:
        processes.on_first(functools.partial(_claim, stack, runs, config, as_path(workdir)))
        bests = train_to_end(runs, make_trainer(runs, chunk=config.sweep.chunk))
        return evaluate_runs(runs, bests, config, workdir, announce=announce)


def _train_share(
    runs: Sequence[Run], config: Config, workdir: Path, share: Share
) -> dict[str, Any]:
    """Train and evaluate the trials of a share, and join the results of all if it is the last."""
    if not sweep.sweep_lists(config):
        raise InputError(f"trials = '{share}': needs a sweep; give a list in config.sweep")
    selected = select_share(runs, share)
    check_batch(selected)
    trials: dict[str, Any] = {}
    try:
        with claim_share(selected, config, workdir):
            bests = train_to_end(selected, make_trainer(selected, chunk=config.sweep.chunk))
            with explain_interrupt(lambda: advise_evaluation(workdir, is_training=True)):
                trials, failed, contexts = evaluate_trials(selected, bests)
                plot_runs(contexts)
            if failed:
                reasons = "\n".join(f"  {name}: {reason}" for name, reason in failed.items())
                raise RunDiverged(f"{len(failed)} of {len(selected)} trials failed:\n{reasons}")
    except RunStopped:
        join_results(runs, config, workdir, trials)
        raise
    return join_results(runs, config, workdir, trials)


def check_batch(runs: Sequence[Run]) -> None:
    """Raises InputError if the batch of a single run can't be split over the devices."""
    config = runs[0].config
    if len(runs) == 1 and config.train.batch_size % jax.device_count():
        raise InputError(
            f"config.train.batch_size = {config.train.batch_size}: "
            f"must be a multiple of the {jax.device_count()} devices"
        )


def _claim(stack: contextlib.ExitStack, runs: Sequence[Run], config: Config, workdir: Path) -> None:
    stack.enter_context(claim_workdir(workdir, config))
    if sweep.sweep_lists(config):
        for run in runs:
            stack.enter_context(claim_workdir(run.workdir, run.config))


def train_to_end(runs: Sequence[Run], trainer: Trainer) -> list[Best | InputError]:
    """Train all runs, from their newest common checkpoint if there is one.

    Returns the checkpoint of each run to measure, or the error if it cannot be read.
    """
    with contextlib.ExitStack() as stack:
        keep = runs[0].config.train.keep_checkpoints
        start, stop = next(plan_calls(0, runs[0].config))
        scorers = make_scorers(runs)
        is_new = not any((run.workdir / "checkpoints").is_dir() for run in runs)
        if is_new:  # nothing to check: compile while Orbax is imported
            start_compiling(stack, trainer, runs[0], scorers[0], stop - start)
        checkpoints = [stack.enter_context(Checkpoints(run.workdir, keep=keep)) for run in runs]
        stack.enter_context(explain_interrupt(lambda: advise_again(checkpoints[0])))
        for run, saved in zip(runs, checkpoints, strict=True):
            _check_data(run, saved)
        if not is_new:
            start_compiling(stack, trainer, runs[0], scorers[0], stop - start)
        state = _restore(trainer, checkpoints, [run.config for run in runs])
        first = int(jax.tree.leaves(trainer.split(state.step))[0])
        with Interruption() as interruption:
            try:
                recorders = []
                for run, saved, scorer in zip(runs, checkpoints, scorers, strict=True):
                    recorders.append(Recorder(run, saved, first, scorer))
                    stack.callback(recorders[-1].close)
                last = _advance(trainer, state, first, recorders, interruption)
            except OSError as error:
                raise RunStopped(f"{error}; {describe_latest(checkpoints[0])}") from error
            if processes.any_of(interruption.requested):
                interruption.leave(last)
        return [
            find_best(run, saved, recorder.validated)
            for run, saved, recorder in zip(runs, checkpoints, recorders, strict=True)
        ]


def _check_data(run: Run, checkpoints: Checkpoints) -> None:
    """Raises InputError if the newest readable checkpoint was trained on other data."""
    for step in reversed(checkpoints.steps()):
        try:
            saved = checkpoints.describe(step)
        except DamagedError:  # reported by `restore_latest`
            continue
        config_lib.check_same(run.config, saved.config, str(checkpoints.directory))
        data = data_identity(run.dataset)
        check_same_data(data, run.model.units, saved, str(checkpoints.directory))
        return


def _restore(
    trainer: Trainer, checkpoints: Sequence[Checkpoints], configs: Sequence[Config]
) -> TrainState:
    state = trainer.initial()
    states = restore_latest(checkpoints, trainer.split(state), configs)
    return state if states is None else trainer.join(states)


def _advance(
    trainer: Trainer,
    state: TrainState,
    first: int,
    recorders: Sequence[Recorder],
    interruption: Interruption,
) -> int:
    """Train to the end or an interruption; returns the last step, which is saved.

    Several processes stop within seconds of the interruption of any, all at the same step.
    Between evaluations, the metrics of one call are read while the next one runs.
    """
    config = recorders[0].run.config
    spans = [] if are_finished(recorders) else list(plan_calls(first, config))
    _announce(recorders, first)
    flag = processes.SharedFlag()
    pending: tuple[int, int, Metrics] | None = None
    stop = first
    with _progress(config, first) as progress, trainer.open_data(spans) as data:
        for start, stop in spans:
            state, metrics = trainer.epoch(stop - start)(state, data)
            if pending is not None:
                _report(trainer, *pending, recorders, progress)
            pending = (start, stop, metrics)
            interrupted = flag.exchange(interruption.requested)
            regular = stop % config.train.eval_every == 0 or stop == config.train.num_steps
            between = not regular and stop % config.train.validate_every == 0
            if regular or between or interrupted:
                _report(trainer, *pending, recorders, progress)
                pending = None
                states = trainer.split(state)
                with progress.during("validating" if regular or between else "saving"):
                    if between:
                        for recorder, one in zip(recorders, states, strict=True):
                            recorder.validate(one)
                    if regular or interrupted:
                        save_all(recorders, states, regular=regular)
            if interrupted or are_finished(recorders):
                break
    return stop


def _announce(recorders: Sequence[Recorder], first: int) -> None:
    run = recorders[0].run
    is_sweep = len(recorders) > 1
    if first == run.config.train.num_steps:
        logger.info("%s: already trained to step %d, in %s", run.config.name, first, run.workdir)
        return
    folder = run.workdir.parent if is_sweep else run.workdir
    logger.info(
        "%s: training%s on %s (%d %s; binarization %s), step %d to %d%s; "
        "the first steps wait for the compiler",
        run.config.name,
        f" {len(recorders)} trials" if is_sweep else "",
        run.dataset.name,
        run.dataset.train.num_examples,
        describe_data(run.dataset.preparation),
        run.dataset.preparation["binarization"],
        first,
        run.config.train.num_steps,
        "" if run.is_temporary else f", in {folder}",
    )


def _progress(config: Config, first: int) -> Progress:
    options = {"initial": first, "seconds": LINE_SECONDS, "bar_at_once": True}
    return Progress(config.train.num_steps, config.name, "steps", **options)


def plan_calls(step: int, config: Config) -> Iterator[tuple[int, int]]:
    """Yield the first step and one past the last of each compiled call.

    A call ends at a multiple of `log_every`, `validate_every` or `eval_every`, or at the end.
    """
    c = config.train
    periods = (c.log_every, c.validate_every, c.eval_every)
    while step < c.num_steps:
        stop = min(c.num_steps, *(step - step % period + period for period in periods))
        yield step, stop
        step = stop


def _report(
    trainer: Trainer,
    start: int,
    stop: int,
    metrics: Metrics,
    recorders: Sequence[Recorder],
    progress: Progress,
) -> None:
    """Write the metrics of a call.

    Raises:
      RunDiverged: every run has had too many skipped steps in a row.
    """
    running = [recorder for recorder in recorders if not recorder.stopped]
    numbers = [
        recorder.report(start, stop, run_metrics)
        for recorder, run_metrics in zip(
            recorders, trainer.split(jax.device_get(metrics)), strict=True
        )
    ]
    progress.update(stop - start, _format_losses(numbers))
    if all(recorder.stopped for recorder in recorders):
        raise RunDiverged(recorders[0].explain_stop())
    for recorder in running:
        if recorder.stopped:
            logger.warning("%s; the other trials continue", recorder.stopped)


def _format_losses(numbers: Sequence[dict[str, float]]) -> str:
    losses = sorted(n["loss"] for n in numbers if not math.isnan(n["loss"])) or [math.nan]
    if len(losses) > 1:
        return f"loss {losses[0]:.2f} to {losses[-1]:.2f}"
    return f"loss {losses[0]:.2f} rate {numbers[0]['rate']:.2f}"
