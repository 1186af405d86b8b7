"""The training loop: compiled calls, evaluations and checkpoints in between, and what stops it."""

import contextlib
import functools
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
from vae_jax.experiment import processes
from vae_jax.experiment.evaluate import Best, evaluate_runs, restore_best
from vae_jax.experiment.run import Run, make_runs
from vae_jax.experiment.storage.checkpoint import Checkpoints, restore_latest
from vae_jax.experiment.storage.workdir import claim_workdir
from vae_jax.experiment.training.interruption import Interruption
from vae_jax.experiment.training.recorder import Recorder, last_good
from vae_jax.experiment.training.trainers import Trainer, make_trainer
from vae_jax.train import TrainState
from vae_jax.types import Metrics

logger = logging.getLogger(__name__)


def train_and_evaluate(config: Config, workdir: str | os.PathLike) -> dict[str, Any]:
    """Trains to `config.train.num_steps`, from the newest checkpoint in the workdir if there is one; returns the results.

    With a sweep, trains and evaluates every trial.

    Raises:
      InputError: the config, the data or the workdir can't be used, or the workdir holds a run of another config.
      RunStopped: too many non-finite steps in a row, or a checkpoint that could not be written.
    """
    runs = processes.together(functools.partial(make_runs, config, workdir))
    if len(runs) == 1 and config.train.batch_size % jax.device_count():
        raise InputError(
            f"config.train.batch_size = {config.train.batch_size}: must be a multiple of the {jax.device_count()} devices"
        )
    with contextlib.ExitStack() as stack:
        processes.on_first(functools.partial(_claim, stack, runs, config, pathlib.Path(workdir)))
        bests = train_to_end(runs, make_trainer(runs, chunk=config.sweep.chunk))
        return evaluate_runs(runs, bests, config, workdir)


def _claim(
    stack: contextlib.ExitStack, runs: Sequence[Run], config: Config, workdir: pathlib.Path
) -> None:
    stack.enter_context(claim_workdir(workdir, config))
    for run in runs if sweep.sweep_lists(config) else ():
        stack.enter_context(claim_workdir(run.workdir, run.config))


def train_to_end(runs: Sequence[Run], trainer: Trainer) -> list[Best | InputError]:
    """Train all runs from the latest step of which all have a checkpoint; returns the best of each.

    A run whose best checkpoint is unusable has the error in its place.
    """
    with contextlib.ExitStack() as stack:
        keep = runs[0].config.train.keep_checkpoints
        kept = [stack.enter_context(Checkpoints(run.workdir, keep=keep)) for run in runs]
        state = trainer.initial()
        saved = restore_latest(kept, trainer.split(state), [run.config for run in runs])
        state = state if saved is None else trainer.join(saved)
        first = int(jax.tree.leaves(trainer.split(state.step))[0])
        with Interruption() as interruption:
            try:
                recorders = []
                for run, checkpoints in zip(runs, kept, strict=True):
                    recorders.append(Recorder(run, checkpoints, first))
                    stack.callback(recorders[-1].close)
                step = _advance(trainer, state, first, recorders, interruption)
            except OSError as error:
                raise RunStopped(f"{error}; {last_good(kept[0])}") from error
            if processes.any_of(interruption.asked):
                interruption.leave(step)
        return [restore_best(*arguments) for arguments in zip(runs, kept, strict=True)]


def _advance(
    trainer: Trainer,
    state: TrainState,
    first: int,
    recorders: Sequence[Recorder],
    interruption: Interruption,
) -> int:
    """The loop itself, to the end or an interruption; returns its last step, which is saved.

    Between evaluations, the metrics of one call are read when the next is under way.
    """
    config = recorders[0].run.config
    _announce(recorders, first)
    pending: tuple[int, int, Metrics] | None = None
    stop = first
    with (
        _progress_bar(recorders, first) as bar,
        trainer.reading(list(calls(first, config))) as data,
    ):
        for start, stop in calls(first, config):
            state, metrics = trainer.epoch(stop - start)(state, data)
            if pending is not None:
                _report(trainer, *pending, recorders, bar)
            pending = (start, stop, metrics)
            asked = processes.any_of(interruption.asked)
            regular = stop % config.train.eval_every == 0 or stop == config.train.num_steps
            if regular or asked:
                _report(trainer, *pending, recorders, bar)
                pending = None
                for recorder, own in zip(recorders, trainer.split(state), strict=True):
                    recorder.save(own) if regular else recorder.save_between(own)
                for recorder in (
                    recorders
                ):  # after all are saved: a kill in between leaves a step that all have
                    recorder.checkpoints.prune()
            if asked:
                break
    return stop


def _announce(recorders: Sequence[Recorder], first: int) -> None:
    run = recorders[0].run
    logger.info(
        "%s: training%s on %s (%d images, binarization %s), step %d to %d, in %s; the first steps wait for the compiler",
        *(
            run.config.name,
            f" {len(recorders)} trials" if len(recorders) > 1 else "",
            run.dataset.name,
        ),
        *(
            run.dataset.train.num_examples,
            run.dataset.preparation["binarization"],
            first,
            run.config.train.num_steps,
        ),
        run.workdir if len(recorders) == 1 else run.workdir.parent,
    )


def _progress_bar(recorders: Sequence[Recorder], first: int) -> tqdm.tqdm:
    config = recorders[0].run.config
    width = (
        shutil.get_terminal_size().columns
    )  # tqdm's own guess draws nothing in a terminal that claims no rows
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
    """(first, one past last) steps of each compiled call: it ends at a multiple of `log_every` or `eval_every`, or the end."""
    c = config.train
    while step < c.num_steps:
        stop = min(
            step - step % c.log_every + c.log_every,
            step - step % c.eval_every + c.eval_every,
            c.num_steps,
        )
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
    """Writes the metrics of a call; stops when every run has had too many skipped steps in a row."""
    before = [recorder.stopped for recorder in recorders]
    numbers = [
        recorder.report(start, stop, own)
        for recorder, own in zip(recorders, trainer.split(jax.device_get(metrics)), strict=True)
    ]
    losses = sorted(one["loss"] for one in numbers if one["loss"] == one["loss"]) or [math.nan]
    spread = f"{losses[0]:.2f}" + (
        f" to {losses[-1]:.2f}" if len(losses) > 1 else f" rate {numbers[0]['rate']:.2f}"
    )
    bar.set_postfix_str(f"loss {spread}", refresh=False)
    bar.update(stop - bar.n)
    if all(recorder.stopped for recorder in recorders):
        raise RunStopped(f"{recorders[0].stopped}; {recorders[0].last_good()}")
    for recorder, known in zip(recorders, before, strict=True):
        if recorder.stopped and not known:
            logger.warning("%s; the other trials go on", recorder.stopped)
