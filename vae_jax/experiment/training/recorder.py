"""Logging, validation and checkpoints of one run, and why it stopped."""

import logging
import textwrap
from collections.abc import Sequence

import jax
import numpy as np

from vae_jax.data.identity import data_identity
from vae_jax.data.inputs import Inputs
from vae_jax.errors import RunStopped
from vae_jax.evaluation.terms import describe_rows
from vae_jax.experiment import builders, processes
from vae_jax.experiment.measurement.best import Validated
from vae_jax.experiment.measurement.evaluator import (
    baseline_of,
    evaluation_params,
    make_run_evaluator,
    summarize_split,
)
from vae_jax.experiment.measurement.scores import Scorer
from vae_jax.experiment.metrics.latents import verdict_of
from vae_jax.experiment.run import Run
from vae_jax.experiment.selection import is_out_of_patience
from vae_jax.experiment.storage.checkpoint import Checkpoints
from vae_jax.experiment.storage.description import Description
from vae_jax.experiment.storage.metric_writer import MetricsWriter, SilentWriter
from vae_jax.experiment.storage.session import Session
from vae_jax.experiment.storage.tracker import Tracker
from vae_jax.files import Path, is_disk_full
from vae_jax.train import TrainState
from vae_jax.types import Metrics

logger = logging.getLogger(__name__)

WARNED = ("collapsed", "blind", "constant data")  # verdicts on validation
MAX_KEPT_BYTES = 2**24  # terms of validation kept for the final numbers; larger are measured again
LOWEST = -float(np.finfo(np.float32).max)  # replaces a score that is not finite


class Recorder:
    """Writes the metrics and checkpoints of a run, or of one trial of a sweep.

    Attributes:
      stopped: the reason once too many steps in a row were not finite, else None.
      finished: True once patience ran out; afterwards only resume-only checkpoints are written, and
        the result has the status of a run that stopped.
      validated: validations by step, on the host: the best and the last checkpoint's from here.
    """

    def __init__(self, run: Run, checkpoints: Checkpoints, start_step: int, scorer: Scorer) -> None:
        self.run = run
        self.checkpoints = checkpoints
        self.stopped: str | None = None
        self.validated: dict[int, Validated] = {}
        self._writer: MetricsWriter | SilentWriter = SilentWriter()
        if processes.is_first():
            tracker = Tracker(run.config)
            self._writer = MetricsWriter(run.workdir, start_step=start_step, tracker=tracker)
        self._session = Session(run.workdir, start_step, run.config.train.batch_size)
        self._evaluate = make_run_evaluator(run)
        self._score = scorer
        self.finished = is_out_of_patience(run.config, checkpoints)
        self._has_warned = False

    def report(self, start: int, stop: int, metrics: Metrics) -> dict[str, float]:
        """Write the means of a call's metrics over its finite steps, and return them."""
        self._session.count(stop - start)
        values = {name: np.asarray(value) for name, value in metrics.items()}
        skipped_in_a_row = values.pop("skipped_in_a_row")
        good = skipped_in_a_row == 0
        numbers = {name: _mean(value[good]) for name, value in values.items()}
        numbers["skipped"] = int(values["skipped"][-1])
        if self.finished:
            return numbers
        self._warn_skipped(start, good)
        limit = self.run.config.train.max_skipped_in_a_row
        too_many = skipped_in_a_row >= limit
        notes = {}
        if too_many.any() and self.stopped is None:
            self.stopped = notes["stopped"] = (
                f"step {start + int(np.argmax(too_many)) + 1}: {limit} steps in a row had a loss "
                f"or gradient that was not finite (config.train.max_skipped_in_a_row = {limit}"
                + ("" if self.run.is_temporary else f", config in {self._config_path}")
                + ")"
            )
        self._writer.write(stop, "train", numbers, **notes)
        return numbers

    @property
    def _config_path(self) -> Path:
        return self.run.workdir / "config.json"

    def explain_stop(self) -> str:
        """Why the run stopped and, unless its workdir is temporary, which checkpoint remains."""
        remains = "" if self.run.is_temporary else f"; {describe_latest(self.checkpoints)}"
        return f"{self.stopped}{remains}"

    def _warn_skipped(self, start: int, good: np.ndarray) -> None:
        """Warn at the first call with skipped steps."""
        if good.all() or self._has_warned:
            return
        self._has_warned = True
        logger.warning(
            "%s: step %d skipped: its loss or gradient was not finite; %d of the %d steps up to "
            "step %d are skipped%s",
            self.run.label,
            start + int(np.argmin(good)) + 1,
            int(np.sum(~good)),
            len(good),
            start + len(good),
            "" if self.run.is_temporary else ", `skipped` in metrics.jsonl counts further steps",
        )

    def validate(self, state: TrainState) -> None:
        """Validate the state between checkpoints, and write the numbers: it changes no result."""
        if not self.finished:
            params = evaluation_params(self.run, state.eval_params)
            numbers = summarize_split(self.run, self._evaluate(params, "valid"))
            self._writer.write(int(state.step), "valid", numbers, **self._notes())

    def _notes(self) -> dict[str, str]:
        return {"binarization": self.run.dataset.preparation["binarization"]}

    def save(self, state: TrainState) -> None:
        """Validate the state, and write the numbers and a checkpoint.

        Raises:
          RunStopped: the checkpoint could not be written.
        """
        if self.finished:
            self.save_between(state)
            return
        params = evaluation_params(self.run, state.eval_params)
        terms = self._evaluate(params, "valid")
        step = int(state.step)
        numbers = summarize_split(self.run, terms)
        if "num_not_finite" in numbers:
            text = describe_rows(terms.is_finite)
            logger.warning("step %d: %s of validation; its numbers exclude them", step, text)
        is_elbo = builders.is_elbo(self.run.config)
        numbers["score"] = numbers["elbo"] if is_elbo else self._score(params, step)
        notes = self._notes()
        if self.run.config.model.kind != "vq":
            baseline = baseline_of(self.run, "valid")
            shape = self.run.dataset.shape
            verdict = verdict_of(self.run.config, terms, baseline, shape, step=step)
            notes["verdict"] = str(verdict)
            if verdict.name in WARNED:
                logger.warning("step %d: %s", step, verdict)
        self._writer.write(step, "valid", numbers, **notes)
        self._write(state, numbers["score"])
        # Copied, since on CPU the arrays of the host share memory with a state that is donated.
        kept = terms if terms.nbytes <= MAX_KEPT_BYTES else None
        self.validated[step] = Validated(jax.tree.map(np.array, params), kept)

    def save_between(self, state: TrainState) -> None:
        """Write an extra checkpoint to resume from, without a score: it changes no result."""
        self._write(state, None)

    def _write(self, state: TrainState, score: float | None) -> None:
        config, step = self.run.config, int(state.step)
        is_finite = score is None or bool(np.isfinite(score))
        description = Description(
            config,
            self.run.dataset.shape,
            score if is_finite else LOWEST,
            builders.name_score(config, step),
            competes=is_finite and step >= builders.schedules_end(config),
            data=data_identity(self.run.dataset),
            inputs=Inputs.of(self.run.dataset),
            units=self.run.model.units,
        )
        self._writer.flush()  # a run resumed from this checkpoint continues after these lines
        try:
            self.checkpoints.save(state, description)
        except Exception as error:  # Orbax and TensorStore raise many types for a full disk
            reason = textwrap.shorten(str(error) or type(error).__name__, 160)
            num_bytes = sum(leaf.nbytes for leaf in jax.tree.leaves(state))
            if is_disk_full(error, self.checkpoints.directory, num_bytes):
                reason = "no space left on the device"
            raise RunStopped(
                f"checkpoint {step} could not be written: {reason}; "
                f"{describe_latest(self.checkpoints)}"
            ) from error
        if processes.is_first():
            self._session.write(step, sum(leaf.size for leaf in jax.tree.leaves(state.params)))

    def resume(self) -> None:
        """Begin to time the next call, once the checkpoints of all runs are written."""
        self._session.resume()

    def prune(self) -> None:
        """Delete checkpoints that are no longer needed, and update `finished`."""
        self.checkpoints.prune()
        steps = (self.checkpoints.best_step(), self.checkpoints.last_step())
        self.validated = {step: self.validated[step] for step in steps if step in self.validated}
        if not self.finished and is_out_of_patience(self.run.config, self.checkpoints):
            self.finished = True
            logger.info(
                "%s: early stopping: no better score in %d validations (config.train.patience)",
                self.run.label,
                self.run.config.train.patience,
            )

    def close(self) -> None:
        """Close the files."""
        self._writer.close()


def _mean(values: np.ndarray) -> float:
    """The mean of the values that are not NaN, such as the accuracy of batches with labels."""
    values = values[~np.isnan(values)]
    return float(values.mean(dtype=np.float64)) if values.size else np.nan


def describe_latest(checkpoints: Checkpoints) -> str:
    """Describe the latest checkpoint, for messages."""
    steps = checkpoints.steps()
    if not steps:
        return "there is no checkpoint yet"
    return f"the last good checkpoint is step {steps[-1]} in {checkpoints.directory}"


def advise_again(checkpoints: Checkpoints) -> str:
    """Instructions after Ctrl-C at any moment of the training."""
    return f"interrupted; {describe_latest(checkpoints)}; run the same command to resume"


def save_all(recorders: Sequence[Recorder], states: Sequence[TrainState], *, regular: bool) -> None:
    """Write a checkpoint of every run: with a validation if `regular`, else only to resume from."""
    for recorder, state in zip(recorders, states, strict=True):
        if regular:
            recorder.save(state)
        else:
            recorder.save_between(state)
    # Only after all are saved, so that a kill in between leaves a step that all have.
    for recorder in recorders:
        recorder.prune()
    for recorder in recorders:
        recorder.resume()


def are_finished(recorders: Sequence[Recorder]) -> bool:
    """True once every run that has not diverged is out of patience."""
    return any(recorder.finished for recorder in recorders) and all(
        recorder.finished or recorder.stopped for recorder in recorders
    )
