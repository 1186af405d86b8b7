"""The training loop: compiled calls, evaluations and checkpoints in between, and what stops it."""

import contextlib
import functools
import importlib
import logging
import math
import os
import pathlib
import shutil
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import tqdm

from vae_jax.config import Config, sweep
from vae_jax.errors import InputError, RunStopped
from vae_jax.experiment import ahead, processes
from vae_jax.experiment.evaluate import Announce, Best, evaluate_runs, restore_best
from vae_jax.experiment.evaluator import compile_ahead
from vae_jax.experiment.run import Run, make_runs
from vae_jax.experiment.storage.checkpoint import Checkpoints, restore_latest
from vae_jax.experiment.storage.workdir import claim_workdir
from vae_jax.experiment.training.interruption import Interruption
from vae_jax.experiment.training.recorder import Recorder, describe_latest
from vae_jax.experiment.training.trainers import Trainer, make_trainer
from vae_jax.train import TrainState
from vae_jax.types import Metrics

logger = logging.getLogger(__name__)


def train_and_evaluate(
    config: Config, workdir: str | os.PathLike, announce: Announce | None = None
) -> dict[str, Any]:
    """Train to `config.train.num_steps`, evaluate, and return the results.

    Resumes from the latest checkpoint in the workdir if there is one. With a sweep, trains and
    evaluates every trial. `announce` is called with the results before the figures are plotted.

    Raises:
      InputError: the config, the data or the workdir is unusable, or the workdir holds a run of
        another config.
      RunStopped: too many non-finite steps in a row, or a checkpoint that could not be written.
    """
    runs = processes.together(functools.partial(make_runs, config, workdir))
    if len(runs) == 1 and config.train.batch_size % jax.device_count():
        raise InputError(
            f"config.train.batch_size = {config.train.batch_size}: "
            f"must be a multiple of the {jax.device_count()} devices"
        )
    with contextlib.ExitStack() as stack:
        processes.on_first(functools.partial(_claim, stack, runs, config, pathlib.Path(workdir)))
        bests = train_to_end(runs, make_trainer(runs, chunk=config.sweep.chunk))
        return evaluate_runs(runs, bests, config, workdir, announce=announce)


def _claim(
    stack: contextlib.ExitStack, runs: Sequence[Run], config: Config, workdir: pathlib.Path
) -> None:
    stack.enter_context(claim_workdir(workdir, config))
    if sweep.sweep_lists(config):
        for run in runs:
            stack.enter_context(claim_workdir(run.workdir, run.config))


def train_to_end(runs: Sequence[Run], trainer: Trainer) -> list[Best | InputError]:
    """Train all runs from the newest step that all of them have a checkpoint of.

    Returns the best checkpoint of each run, or the error if it cannot be read.
    """
    with contextlib.ExitStack() as stack:
        keep = runs[0].config.train.keep_checkpoints
        checkpoints = [stack.enter_context(Checkpoints(run.workdir, keep=keep)) for run in runs]
        _compile_ahead(stack, trainer, runs[0])
        state = _restore(trainer, checkpoints, [run.config for run in runs])
        first = int(jax.tree.leaves(trainer.split(state.step))[0])
        with Interruption() as interruption:
            try:
                recorders = []
                for run, saved in zip(runs, checkpoints, strict=True):
                    recorders.append(Recorder(run, saved, first))
                    stack.callback(recorders[-1].close)
                last = _advance(trainer, state, first, recorders, interruption)
            except OSError as error:
                raise RunStopped(f"{error}; {describe_latest(checkpoints[0])}") from error
            if processes.any_of(interruption.requested):
                interruption.leave(last)
        return [restore_best(run, saved) for run, saved in zip(runs, checkpoints, strict=True)]


def _compile_ahead(stack: contextlib.ExitStack, trainer: Trainer, run: Run) -> None:
    """Begin to compile the first call and the evaluations, until the stack is closed."""
    pool = ahead.make_pool()
    if pool is None:
        return
    stack.callback(pool.shutdown, wait=False, cancel_futures=True)
    start, stop = next(calls(0, run.config))
    params = trainer.compile_ahead(stop - start, pool)
    if params is not None:
        compile_ahead(run, params, pool)
    pool.submit(importlib.import_module, "vae_jax.visualize.all_figures")  # slow: matplotlib


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

    Between evaluations, the metrics of one call are read while the next one runs.
    """
    config = recorders[0].run.config
    spans = list(calls(first, config))
    _announce(recorders, first)
    pending: tuple[int, int, Metrics] | None = None
    stop = first
    with _progress_bar(config, first) as bar, trainer.open_data(spans) as data:
        for start, stop in spans:
            state, metrics = trainer.epoch(stop - start)(state, data)
            if pending is not None:
                _report(trainer, *pending, recorders, bar)
            pending = (start, stop, metrics)
            interrupted = processes.any_of(interruption.requested)
            regular = stop % config.train.eval_every == 0 or stop == config.train.num_steps
            if regular or interrupted:
                _report(trainer, *pending, recorders, bar)
                pending = None
                _save(recorders, trainer.split(state), regular=regular)
            if interrupted:
                break
    return stop


def _save(recorders: Sequence[Recorder], states: Sequence[TrainState], *, regular: bool) -> None:
    for recorder, state in zip(recorders, states, strict=True):
        if regular:
            recorder.save(state)
        else:
            recorder.save_between(state)
    # Only after all are saved, so that a kill in between leaves a step that all have.
    for recorder in recorders:
        recorder.checkpoints.prune()


def _announce(recorders: Sequence[Recorder], first: int) -> None:
    run = recorders[0].run
    is_sweep = len(recorders) > 1
    logger.info(
        "%s: training%s on %s (%d images, binarization %s), step %d to %d, in %s; "
        "the first steps wait for the compiler",
        run.config.name,
        f" {len(recorders)} trials" if is_sweep else "",
        run.dataset.name,
        run.dataset.train.num_examples,
        run.dataset.preparation["binarization"],
        first,
        run.config.train.num_steps,
        run.workdir.parent if is_sweep else run.workdir,
    )


def _progress_bar(config: Config, first: int) -> tqdm.tqdm:
    # tqdm's own estimate draws nothing in a terminal that claims to have no rows.
    width = shutil.get_terminal_size().columns
    return tqdm.tqdm(
        total=config.train.num_steps,
        initial=first,
        unit="step",
        desc=config.name,
        ncols=min(width, 100),
        nrows=20,
        disable=not processes.is_first(),
    )


def calls(step: int, config: Config) -> Iterator[tuple[int, int]]:
    """Yield the first step and one past the last of each compiled call.

    A call ends at a multiple of `log_every` or `eval_every`, or at the end.
    """
    c = config.train
    while step < c.num_steps:
        next_log = step - step % c.log_every + c.log_every
        next_eval = step - step % c.eval_every + c.eval_every
        stop = min(next_log, next_eval, c.num_steps)
        yield step, stop
        step = stop


def _report(
    trainer: Trainer,
    start: int,
    stop: int,
    metrics: Metrics,
    recorders: Sequence[Recorder],
    bar: tqdm.tqdm,
) -> None:
    """Write the metrics of a call.

    Raises:
      RunStopped: every run has had too many skipped steps in a row.
    """
    running = [recorder for recorder in recorders if not recorder.stopped]
    numbers = [
        recorder.report(start, stop, run_metrics)
        for recorder, run_metrics in zip(
            recorders, trainer.split(jax.device_get(metrics)), strict=True
        )
    ]
    bar.set_postfix_str(_format_losses(numbers), refresh=False)
    bar.update(stop - bar.n)
    if all(recorder.stopped for recorder in recorders):
        raise RunStopped(f"{recorders[0].stopped}; {describe_latest(recorders[0].checkpoints)}")
    for recorder in running:
        if recorder.stopped:
            logger.warning("%s; the other trials continue", recorder.stopped)


def _format_losses(numbers: Sequence[dict[str, float]]) -> str:
    losses = sorted(n["loss"] for n in numbers if not math.isnan(n["loss"])) or [math.nan]
    if len(losses) > 1:
        return f"loss {losses[0]:.2f} to {losses[-1]:.2f}"
    return f"loss {losses[0]:.2f} rate {numbers[0]['rate']:.2f}"
