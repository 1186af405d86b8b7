"""The results of the trials of a sweep, and of all of them together."""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from vae_jax.config import Config, sweep
from vae_jax.errors import InputError, RunDiverged, RunStopped
from vae_jax.evaluation import Terms
from vae_jax.experiment import metrics
from vae_jax.experiment.figures import plot_front, plot_runs
from vae_jax.experiment.measurement.best import Best
from vae_jax.experiment.measurement.evaluator import (
    make_run_evaluator,
)
from vae_jax.experiment.measurement.numbers import evaluate_run
from vae_jax.experiment.results import Results, describe
from vae_jax.experiment.run import Run
from vae_jax.experiment.storage.metric_writer import read_metrics
from vae_jax.experiment.sweeps.settings import best_setting, summarize_settings
from vae_jax.files import Path
from vae_jax.types import Params

logger = logging.getLogger(__name__)

Announce = Callable[[Mapping[str, Any]], None]


def evaluate_trials(
    runs: Sequence[Run], bests: Sequence[Best | InputError], *, is_training: bool = True
) -> tuple[dict[str, dict[str, Any]], dict[str, str], list[metrics.Context]]:
    """Evaluate every trial.

    Returns the results of trials, the reasons of failures, and contexts for the figures.
    """
    trials: dict[str, dict[str, Any]] = {}
    failed: dict[str, str] = {}
    contexts = []
    for run, best in zip(runs, bests, strict=True):
        try:
            if isinstance(best, InputError):
                raise best
            numbers, context = evaluate_run(run, *best, is_training=is_training)
        except (InputError, RunStopped) as error:
            failed[run.workdir.name] = str(error)
            continue
        trials[run.workdir.name] = numbers
        contexts.append(context)
        reasons = [line["stopped"] for line in read_metrics(run.workdir) if "stopped" in line]
        if reasons:
            failed[run.workdir.name] = reasons[0]
    return trials, failed, contexts


def write_sweep(
    runs: Sequence[Run],
    trials: Mapping[str, Any],
    failed: Mapping[str, str],
    models: Sequence[tuple[Run, Params]],
    config: Config,
    workdir: Path,
    *,
    contexts: Sequence[metrics.Context] = (),
    announce: Announce | None = None,
) -> dict[str, Any]:
    """Write the results of every trial to the `results.json` of the sweep, and plot its front.

    Args:
      runs: all trials of the sweep.
      trials: results by trial.
      failed: reasons by trial, of those that failed.
      models: the trials that have results, and the evaluation parameters of each for UDR.
      config: config of the sweep.
      workdir: workdir of the sweep.
      contexts: contexts of trials whose figures are not plotted yet.
      announce: is called with the results before figures are plotted, unless a trial failed.

    Raises:
      RunDiverged: some trials failed; the rest are written nevertheless.
    """
    results = Results(workdir)
    numbers = {
        "name": config.name,
        "swept": sweep.sweep_lists(config),
        "trials": trials,
        "failed": failed,
    }
    numbers["settings"] = summarize_settings(trials, failed)
    numbers |= best_setting(numbers["settings"])
    if metrics.UDR in config.evaluation.metric_names:
        numbers["metrics"] = _compare_seeds(models, config)
    elif "metrics" in results.earlier and results.has_steps(trials):
        numbers["metrics"] = results.earlier["metrics"]
    results.put(numbers)
    if announce is not None and not failed:
        announce(numbers)
    plot_runs(contexts)
    plot_front([run for run, _ in models], trials, config, workdir)
    if failed:
        logger.info("%s", describe(numbers))
        reasons = "\n".join(f"  {name}: {reason}" for name, reason in failed.items())
        raise RunDiverged(
            f"{len(failed)} of {len(runs)} trials failed, "
            f"the remaining trials are in {workdir / 'trials'}:\n{reasons}"
        )
    return numbers


def _compare_seeds(models: Sequence[tuple[Run, Params]], config: Config) -> dict[str, Any]:
    """UDR of the models of each setting with several seeds, on validation: it selects models."""
    groups: dict[str, list[Terms]] = {}
    for run, params in models:
        setting = sweep.values_of(run.config, config)
        setting.pop("seed", None)
        terms = make_run_evaluator(run)(params, "valid")
        groups.setdefault(sweep.trial_name(setting) or "all", []).append(terms)
    groups = {name: terms for name, terms in groups.items() if len(terms) > 1}
    return {metrics.UDR: metrics.agreement(groups)} if groups else {}
