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
from vae_jax.experiment.evaluate import evaluate_lanes, evaluate_run
from vae_jax.experiment.run import Run, make_runs
from vae_jax.experiment.storage.checkpoint import Checkpoints, restore_latest
from vae_jax.experiment.storage.workdir import claimed
from vae_jax.experiment.training.interruption import Interruption
from vae_jax.experiment.training.recorder import Journal, last_good
from vae_jax.experiment.training.trainers import Program, program_of
from vae_jax.train import TrainState
from vae_jax.types import Metrics

logger = logging.getLogger(__name__)


def train_and_evaluate(config: Config, workdir: str | os.PathLike) -> dict[str, Any]:
    """Trains to `config.train.num_steps`, from the newest checkpoint in the workdir if there is one; returns the results.

    With a sweep, trains and evaluates every lane.

    Raises:
      InputError: the config, the data or the workdir can't be used, or the workdir holds a run of another config.
      RunStopped: too many non-finite steps in a row, or a checkpoint that could not be written.
    """
    runs = processes.together(functools.partial(make_runs, config, workdir))
    is_sweep = bool(sweep.swept(config))
    if len(runs) == 1 and config.train.batch_size % jax.device_count():
        raise InputError(
            f"config.train.batch_size = {config.train.batch_size}: must be a multiple of the {jax.device_count()} devices"
        )
    with contextlib.ExitStack() as stack:
        processes.on_first(functools.partial(_claim, stack, runs, config, pathlib.Path(workdir)))
        train_to_end(runs, program_of(runs, chunk=config.sweep.chunk))
        return evaluate_lanes(runs, config, workdir) if is_sweep else evaluate_run(runs[0])


def _claim(stack: contextlib.ExitStack, runs: Sequence[Run], config: Config, workdir: pathlib.Path) -> None:
    stack.enter_context(claimed(workdir, config))
    for run in runs if sweep.swept(config) else ():
        stack.enter_context(claimed(run.workdir, run.config))


def train_to_end(runs: Sequence[Run], program: Program) -> None:
    """Trains all runs of a program, from the newest step that all of them have a checkpoint of."""
    with contextlib.ExitStack() as stack:
        keep = runs[0].config.train.keep_checkpoints
        kept = [stack.enter_context(Checkpoints(run.workdir, keep=keep)) for run in runs]
        state = program.initial()
        saved = restore_latest(kept, program.split(state), [run.config for run in runs])
        state = state if saved is None else program.join(saved)
        first = int(jax.tree.leaves(program.split(state.step))[0])
        interruption = stack.enter_context(Interruption())
        try:
            journals = []
            for run, checkpoints in zip(runs, kept, strict=True):
                journals.append(Journal(run, checkpoints, first))
                stack.callback(journals[-1].close)
            step = _advance(program, state, first, journals, interruption)
        except OSError as error:
            raise RunStopped(f"{error}; {last_good(kept[0])}") from error
        if processes.any_of(interruption.asked):
            interruption.leave(step)


def _advance(program: Program, state: TrainState, first: int, journals: Sequence[Journal], interruption: Interruption) -> int:
    """The loop itself, to the end or an interruption; returns its last step, which is saved.

    Between evaluations, the metrics of one call are read when the next is under way.
    """
    config = journals[0].run.config
    _announce(journals, first)
    pending: tuple[int, int, Metrics] | None = None
    stop = first
    with _progress_bar(journals, first) as bar, program.reading(list(calls(first, config))) as data:
        for start, stop in calls(first, config):
            state, metrics = program.epoch(stop - start)(state, data)
            if pending is not None:
                _report(program, *pending, journals, bar)
            pending = (start, stop, metrics)
            asked = processes.any_of(interruption.asked)
            regular = stop % config.train.eval_every == 0 or stop == config.train.num_steps
            if regular or asked:
                _report(program, *pending, journals, bar)
                pending = None
                for journal, own in zip(journals, program.split(state), strict=True):
                    journal.save(own) if regular else journal.save_between(own)
                for journal in journals:  # after all are saved: a kill in between leaves a step that all have
                    journal.checkpoints.prune()
            if asked:
                break
    return stop


def _announce(journals: Sequence[Journal], first: int) -> None:
    run = journals[0].run
    logger.info(
        "%s: training%s on %s (%d images, binarization %s), step %d to %d, in %s; the first steps wait for the compiler",
        *(run.config.name, f" {len(journals)} lanes" if len(journals) > 1 else "", run.dataset.name),
        *(run.dataset.train.num_examples, run.dataset.preparation["binarization"], first, run.config.train.num_steps),
        run.workdir if len(journals) == 1 else run.workdir.parent,
    )


def _progress_bar(journals: Sequence[Journal], first: int) -> tqdm.tqdm:
    config = journals[0].run.config
    width = shutil.get_terminal_size().columns  # tqdm's own guess draws nothing in a terminal that claims no rows
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
        stop = min(step - step % c.log_every + c.log_every, step - step % c.eval_every + c.eval_every, c.num_steps)
        yield step, stop
        step = stop


def _report(program: Program, start: int, stop: int, metrics: Metrics, journals: Sequence[Journal], bar: tqdm.tqdm) -> None:
    """Writes the metrics of a call; stops when every run has had too many skipped steps in a row."""
    before = [journal.stopped for journal in journals]
    numbers = [
        journal.report(start, stop, own) for journal, own in zip(journals, program.split(jax.device_get(metrics)), strict=True)
    ]
    losses = sorted(one["loss"] for one in numbers if one["loss"] == one["loss"]) or [math.nan]
    spread = f"{losses[0]:.2f}" + (f" to {losses[-1]:.2f}" if len(losses) > 1 else f" rate {numbers[0]['rate']:.2f}")
    bar.set_postfix_str(f"loss {spread}", refresh=False)
    bar.update(stop - bar.n)
    if all(journal.stopped for journal in journals):
        raise RunStopped(f"{journals[0].stopped}; {journals[0].last_good()}")
    for journal, known in zip(journals, before, strict=True):
        if journal.stopped and not known:
            logger.warning("%s; the other lanes go on", journal.stopped)
