"""What one run, or one trial of a sweep, keeps of its way: metrics, validation, checkpoints, and why it stopped."""

import logging
import textwrap
from collections.abc import Callable

import jax
import numpy as np

from vae_jax.errors import RunStopped
from vae_jax.evaluation import Terms
from vae_jax.experiment import processes
from vae_jax.experiment.evaluate import make_run_evaluator, summarize_split
from vae_jax.experiment.metrics.latents import verdict_of
from vae_jax.experiment.run import Run
from vae_jax.experiment.storage.checkpoint import Checkpoints, Description
from vae_jax.experiment.storage.metric_writer import MetricsWriter, SilentWriter
from vae_jax.files import is_disk_full
from vae_jax.train import TrainState
from vae_jax.types import Metrics, Params

logger = logging.getLogger(__name__)


class Recorder:
    """The files of a run, from `start_step` on; a context that closes them."""

    def __init__(self, run: Run, checkpoints: Checkpoints, start_step: int) -> None:
        self.run, self.checkpoints = run, checkpoints
        self.stopped: str | None = None  # why, once too many steps in a row were not finite
        self._writer = (
            MetricsWriter(run.workdir, start_step=start_step)
            if processes.is_first()
            else SilentWriter()
        )
        self._evaluate: Callable[[Params, str], Terms] = make_run_evaluator(run)

    def report(self, start: int, stop: int, metrics: Metrics) -> dict[str, float]:
        """Writes the means of a call's metrics over its good steps, and returns them."""
        values = {name: np.asarray(value) for name, value in metrics.items()}
        skipped_in_a_row = values.pop("skipped_in_a_row")
        good = skipped_in_a_row == 0
        numbers = {name: _mean(value[good]) for name, value in values.items()}
        numbers["skipped"] = int(values["skipped"][-1])
        limit, notes = self.run.config.train.max_skipped_in_a_row, {}
        over = skipped_in_a_row >= limit
        if over.any() and self.stopped is None:
            self.stopped = notes["stopped"] = (
                f"step {start + int(np.argmax(over)) + 1}: {limit} steps in a row had a loss or gradient that was not finite "
                f"(config.train.max_skipped_in_a_row = {limit}, config in {self.run.workdir / 'config.json'})"
            )
        self._writer.write(stop, "train", numbers, **notes)
        return numbers

    def save(self, state: TrainState) -> None:
        """Evaluates on validation, writes the numbers and a checkpoint; RunStopped when it could not be written."""
        terms = self._evaluate(state.eval_params, "valid")
        numbers, notes = summarize_split(self.run, terms), {}
        if self.run.config.model.kind != "vq":
            found = verdict_of(self.run.config, terms)
            notes["verdict"] = str(found)
            if found.name == "collapsed":
                logger.warning("step %d: %s", int(state.step), found)
        step, binarization = int(state.step), self.run.dataset.preparation["binarization"]
        self._writer.write(step, "valid", numbers, binarization=binarization, **notes)
        self._write(state, _score(numbers))

    def save_between(self, state: TrainState) -> None:
        """A checkpoint where the config asks for none, to go on from: without a score, so that it changes no result."""
        self._write(state, None)

    def _write(self, state: TrainState, score: float | None) -> None:
        try:
            self.checkpoints.save(
                state, Description(self.run.config, self.run.dataset.shape, score)
            )
        except Exception as error:  # a full disk comes as many types from Orbax and TensorStore
            reason = textwrap.shorten(str(error) or type(error).__name__, 160)
            num_bytes = sum(leaf.nbytes for leaf in jax.tree.leaves(state))
            if is_disk_full(error, self.checkpoints.directory, num_bytes):
                reason = "no space left on the device"
            raise RunStopped(
                f"checkpoint {int(state.step)} could not be written: {reason}; {self.last_good()}"
            ) from error

    def last_good(self) -> str:
        """Which checkpoint is left, in words."""
        return last_good(self.checkpoints)

    def close(self) -> None:
        """Closes the files."""
        self._writer.close()


def _mean(values: np.ndarray) -> float:
    """The mean of those that are numbers: a batch may have none, as the accuracy of one without labels."""
    known = values[~np.isnan(values)]
    return float(known.mean(dtype=np.float64)) if known.size else np.nan


def last_good(checkpoints: Checkpoints) -> str:
    """Which of the checkpoints is the newest, in words."""
    steps = checkpoints.steps()
    return (
        f"the last good checkpoint is step {steps[-1]} in {checkpoints.directory}"
        if steps
        else "there is no checkpoint yet"
    )


def _score(numbers: dict[str, float]) -> float:
    """What the best checkpoint has most of: the ELBO, or the log-likelihood of reconstructions where the rate is infinite."""
    score = numbers["elbo"] if np.isfinite(numbers["rate"]) else -numbers["distortion"]
    return score if np.isfinite(score) else -float(np.finfo(np.float32).max)
