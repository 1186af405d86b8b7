"""The training loop: compiled calls, evaluations and checkpoints in between, and what stops it."""

import contextlib
import functools
import logging
import os
import shutil
import textwrap
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
import tqdm

from vae_jax import parallel, train
from vae_jax.checkpoint import Checkpoints, Description
from vae_jax.config import Config
from vae_jax.data import order
from vae_jax.errors import InputError, RunStopped
from vae_jax.records import MetricsWriter
from vae_jax.results import evaluate_run, evaluator_of, summarize_split
from vae_jax.run import Run, claim_workdir, make_run
from vae_jax.train import TrainState
from vae_jax.types import Metrics

logger = logging.getLogger(__name__)


def train_and_evaluate(config: Config, workdir: str | os.PathLike) -> dict[str, Any]:
    """Trains to `config.train.num_steps`, from the newest checkpoint in the workdir if there is one; returns the results.

    Raises:
      InputError: the config, the data or the workdir can't be used, or the workdir holds a run of another config.
      RunStopped: too many non-finite steps in a row, or a checkpoint that could not be written.
    """
    run = make_run(config, workdir)
    if config.train.batch_size % jax.device_count():
        raise InputError(
            f"config.train.batch_size = {config.train.batch_size}: must be a multiple of the {jax.device_count()} devices"
        )
    claim_workdir(run.workdir, config)
    with Checkpoints(run.workdir, keep=config.train.keep_checkpoints) as checkpoints:
        state = initial_state(run)
        state = checkpoints.restore_latest(state, config) or state
        try:
            train_to_end(run, state, checkpoints)
        except OSError as error:
            raise RunStopped(f"{error}; {_last_good(checkpoints)}") from error
    return evaluate_run(run)


def initial_state(run: Run) -> TrainState:
    """The state at step 0, on all devices."""
    key_init, key_example = jax.random.split(jax.random.key(run.config.seed))
    x = run.dataset.train.take(np.zeros(1, np.int32), key_example)["x"]
    ema = run.config.optimizer.ema_decay > 0
    return parallel.replicate(train.init_state(key_init, run.model, x, run.tx, ema=ema), run.mesh)


def train_to_end(run: Run, state: TrainState, checkpoints: Checkpoints) -> TrainState:
    """The training loop. Between evaluations, the metrics of one call are read when the next is under way."""
    c = run.config.train
    source = parallel.replicate(run.dataset.train, run.mesh)
    epoch, evaluate = functools.cache(functools.partial(_make_epoch, run)), evaluator_of(run)
    first = int(state.step)
    logger.info(
        "%s: training on %s (%d images, binarization %s), step %d to %d, in %s; the first steps wait for the compiler",
        *(run.config.name, run.dataset.name, run.dataset.train.num_examples, run.dataset.preparation["binarization"]),
        *(first, c.num_steps, run.workdir),
    )
    pending: tuple[int, int, Metrics] | None = None
    with (
        contextlib.closing(MetricsWriter(run.workdir, start_step=first)) as writer,
        _progress_bar(run, first) as bar,
    ):
        for start, stop in calls(first, run.config):
            state, metrics = epoch(stop - start)(state, source)
            if pending is not None:
                _report(run, *pending, writer, bar, checkpoints)
            pending = (start, stop, metrics)
            if stop % c.eval_every == 0 or stop == c.num_steps:
                _report(run, *pending, writer, bar, checkpoints)
                pending = None
                numbers = summarize_split(run, evaluate(state.eval_params, "valid"))
                writer.write(stop, "valid", numbers, binarization=run.dataset.preparation["binarization"])
                _save(run, state, _score(numbers), checkpoints)
    return state


def _progress_bar(run: Run, first: int) -> tqdm.tqdm:
    width = shutil.get_terminal_size().columns  # tqdm's own guess draws nothing in a terminal that claims no rows
    return tqdm.tqdm(
        total=run.config.train.num_steps, initial=first, unit="step", desc=run.config.name, ncols=min(width, 100), nrows=20
    )


def calls(step: int, config: Config) -> Iterator[tuple[int, int]]:
    """(first, one past last) steps of each compiled call: it ends at a multiple of `log_every` or `eval_every`, or the end."""
    c = config.train
    while step < c.num_steps:
        stop = min(step - step % c.log_every + c.log_every, step - step % c.eval_every + c.eval_every, c.num_steps)
        yield step, stop
        step = stop


def _make_epoch(run: Run, num_steps: int) -> Any:
    c = run.config
    indices = functools.partial(
        order.batch_index, num_examples=run.dataset.train.num_examples, batch_size=c.train.batch_size, seed=c.seed
    )
    return train.make_train_epoch(
        run.loss_fn, run.tx, order=indices, num_steps=num_steps, ema_decay=c.optimizer.ema_decay or None, mesh=run.mesh
    )


def _report(
    run: Run, start: int, stop: int, metrics: Metrics, writer: MetricsWriter, bar: tqdm.tqdm, checkpoints: Checkpoints
) -> None:
    """Writes the means of a call's metrics over its good steps, and stops the run when too many in a row were skipped."""
    values = {name: np.asarray(value) for name, value in jax.device_get(metrics).items()}
    skipped_in_a_row = values.pop("skipped_in_a_row")
    good = skipped_in_a_row == 0
    numbers = {name: float(value[good].mean(dtype=np.float64)) if good.any() else np.nan for name, value in values.items()}
    numbers["skipped"] = int(values["skipped"][-1])
    writer.write(stop, "train", numbers)
    bar.set_postfix_str(f"loss {numbers['loss']:.2f} rate {numbers['rate']:.2f}", refresh=False)
    bar.update(stop - bar.n)
    limit = run.config.train.max_skipped_in_a_row
    if skipped_in_a_row.max() >= limit:
        step = start + int(np.argmax(skipped_in_a_row >= limit)) + 1
        raise RunStopped(
            f"step {step}: {limit} steps in a row had a loss or gradient that was not finite "
            f"(config.train.max_skipped_in_a_row = {limit}, config in {run.workdir / 'config.json'}); {_last_good(checkpoints)}"
        )


def _score(numbers: dict[str, float]) -> float:
    """What the best checkpoint has most of: the ELBO, or the log-likelihood of reconstructions where the rate is infinite."""
    score = numbers["elbo"] if np.isfinite(numbers["rate"]) else -numbers["distortion"]
    return score if np.isfinite(score) else -float(np.finfo(np.float32).max)


def _save(run: Run, state: TrainState, score: float, checkpoints: Checkpoints) -> None:
    try:
        checkpoints.save(state, Description(run.config, run.dataset.shape, score))
    except Exception as error:  # a full disk comes as many types from Orbax and TensorStore
        reason = textwrap.shorten(str(error) or type(error).__name__, 160)
        if "no space left" in str(error).lower():
            reason = "no space left on the device"
        raise RunStopped(f"checkpoint {int(state.step)} could not be written: {reason}; {_last_good(checkpoints)}") from error


def _last_good(checkpoints: Checkpoints) -> str:
    steps = checkpoints.steps()
    return f"the last good checkpoint is step {steps[-1]} in {checkpoints.directory}" if steps else "there is no checkpoint yet"
