"""A sweep over several processes: the trials of each, and the results of all."""

import contextlib
import logging
from collections.abc import Iterator, Sequence
from typing import Any

from vae_jax.config import Config
from vae_jax.config.sweep import Share
from vae_jax.errors import InputError
from vae_jax.experiment import metrics
from vae_jax.experiment.measurement.best import load_best
from vae_jax.experiment.results import Results
from vae_jax.experiment.run import Run
from vae_jax.experiment.selection import is_out_of_patience
from vae_jax.experiment.storage.checkpoint import Checkpoints
from vae_jax.experiment.storage.lock import describe_holder
from vae_jax.experiment.storage.metric_writer import read_metrics
from vae_jax.experiment.storage.workdir import claim_workdir
from vae_jax.experiment.sweeps.results import write_sweep
from vae_jax.files import Path

logger = logging.getLogger(__name__)

WAIT = 20.0  # seconds to wait for the lock of the sweep, which is held only briefly

__all__ = ["claim_share", "join_results", "select_share"]


def select_share(runs: Sequence[Run], share: Share) -> list[Run]:
    """Return the runs of a share; raises InputError if there is none."""
    if share.count > len(runs):
        raise InputError(
            f"trials = '{share}': the sweep has {len(runs)} trials; use at most {len(runs)} "
            "processes"
        )
    return list(runs[share.index - 1 :: share.count])


@contextlib.contextmanager
def claim_share(runs: Sequence[Run], config: Config, workdir: Path) -> Iterator[None]:
    """Claim the workdirs of some trials, and briefly the workdir of the sweep.

    Raises:
      InputError: `claim_workdir` raises it; a process that trains the whole sweep has its workdir.
    """
    with claim_workdir(workdir, config, wait=WAIT):
        pass
    with contextlib.ExitStack() as stack:
        for run in runs:
            stack.enter_context(claim_workdir(run.workdir, run.config))
        yield


def join_results(
    runs: Sequence[Run], config: Config, workdir: Path, finished: dict[str, Any]
) -> dict[str, Any]:
    """Write the `results.json` of the sweep if all trials are finished, else say which are not.

    Args:
      runs: all trials.
      config: config of the sweep.
      workdir: workdir of the sweep.
      finished: results of this process by trial, returned if other trials are not finished.
    """
    trials, failed, unfinished = {}, {}, {}
    for run in runs:
        name = run.workdir.name
        process = describe_holder(run.workdir)
        reason = _failure(run)
        if process is not None:
            unfinished[name] = f"being trained by {process}"
        elif reason is None and not _is_trained(run):
            unfinished[name] = "not finished"
        else:
            if reason is not None:
                failed[name] = reason
            results = Results(run.workdir).earlier
            if results and _is_finite(results):
                trials[name] = results
    if unfinished:
        others = "\n".join(f"  {name}: {state}" for name, state in unfinished.items())
        logger.info(
            "%d of %d trials are not finished; the last process joins the results, and so does "
            "--mode=eval:\n%s",
            len(unfinished),
            len(runs),
            others,
        )
        return {"trials": finished}
    with claim_workdir(workdir, config, wait=WAIT):
        models = _load_models(runs, trials, config)
        return write_sweep(runs, trials, failed, models, config, workdir)


def _load_models(
    runs: Sequence[Run], trials: dict[str, Any], config: Config
) -> list[tuple[Run, Any]]:
    """The runs with results, and their parameters if a metric of the sweep needs them."""
    selected = [run for run in runs if run.workdir.name in trials]
    if metrics.UDR not in config.evaluation.metric_names:
        return [(run, None) for run in selected]
    bests = [load_best(run) for run in selected]
    return [
        (run, best.params)
        for run, best in zip(selected, bests, strict=True)
        if not isinstance(best, InputError)
    ]


def _is_trained(run: Run) -> bool:
    """True if a trial has results, and the checkpoints of a run that ended."""
    if not Results(run.workdir).earlier:
        return False
    try:
        with Checkpoints(run.workdir, for_writing=False) as checkpoints:
            is_last = run.config.train.num_steps in checkpoints.steps()
            return is_last or is_out_of_patience(run.config, checkpoints)
    except InputError:  # no checkpoints yet
        return False


def _is_finite(results: dict[str, Any]) -> bool:
    return (results.get("test") or {}).get("distortion") is not None


def _failure(run: Run) -> str | None:
    """The reason why a trial failed, or None."""
    for line in read_metrics(run.workdir):
        if "stopped" in line:
            return line["stopped"]
    results = Results(run.workdir).earlier
    if results and not _is_finite(results):
        return f"the evaluation of step {results.get('step')} is not finite"
    return None
