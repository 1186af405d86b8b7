"""Selection of the checkpoint that the evaluation measures."""

import dataclasses
from typing import Any

from vae_jax.config import Config
from vae_jax.errors import InputError
from vae_jax.experiment import builders
from vae_jax.experiment.storage.checkpoint import Checkpoints
from vae_jax.experiment.storage.description import Description


@dataclasses.dataclass(frozen=True)
class Selection:
    """The checkpoint selected for evaluation, and why."""

    step: int
    last_step: int  # last step of the run
    rule: str  # config.train.select, "last" if none competes, or "step" for one on request
    score: float | None = None  # None for a resume-only checkpoint
    score_name: str = ""
    reason: str = ""

    def __str__(self) -> str:
        score = "" if self.score is None else f"; {self.score_name} on validation {self.score:.6g}"
        return f"step {self.step} of {self.last_step}, {self.reason}{score}"

    def to_json(self) -> dict[str, Any]:
        """The entry in `results.json`."""
        return dataclasses.asdict(self) | {"text": str(self)}


def select_checkpoint(
    checkpoints: Checkpoints, *, step: int | None = None, rule: str | None = None
) -> Selection:
    """Select `step`, by default the checkpoint of the rule, by default `config.train.select`.

    Raises InputError if there is no such checkpoint.
    """
    last = checkpoints.last_step()
    steps = checkpoints.steps()
    if step is not None and step not in steps:
        raise InputError(
            f"step = {step}: no such checkpoint in {checkpoints.directory}; there are {steps}"
        )
    if step is None and last is None:
        damaged = f"; there are {steps}" if steps else "; its training stopped before the first one"
        raise InputError(f"no readable checkpoint in {checkpoints.directory}{damaged}")
    if step is not None:
        saved = checkpoints.describe(step)
        return _describe(saved, step, steps[-1] if last is None else last, "step", "on request")
    rule = rule or checkpoints.describe(last).config.train.select
    best = checkpoints.best_step()
    reason = f"the {rule} one"
    if rule == "best" and best is None:
        rule, reason = "last", _explain_last(checkpoints.describe(last), last)
    step = last if rule == "last" else best
    return _describe(checkpoints.describe(step), step, last, rule, reason)


def is_out_of_patience(config: Config, checkpoints: Checkpoints) -> bool:
    """True if the best score is `config.train.patience` validations old, so that training ends."""
    c = config.train
    if not c.patience:
        return False
    best, last = checkpoints.best_step(), checkpoints.last_step()
    if best is None or last is None or not builders.is_last_phase(config, last):
        return False
    return last // c.eval_every - best // c.eval_every >= c.patience


def _describe(saved: Description, step: int, last: int, rule: str, reason: str) -> Selection:
    name = "" if saved.score is None else saved.score_name
    return Selection(step, max(step, last), rule, saved.score, name, reason)


def _explain_last(saved: Description, step: int) -> str:
    if saved.score is None:
        return "the last, since no checkpoint has a score"
    end = builders.schedules_end(saved.config)
    if step >= end:
        return "the last, since no score is finite"
    return f"the last, since none competes before the schedules end at step {end}"
