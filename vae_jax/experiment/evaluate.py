"""Final numbers and figures of a run, or of the trials of a sweep."""

import dataclasses
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from vae_jax.config import Config, sweep
from vae_jax.data import Dataset
from vae_jax.data.identity import check_same_data, identity
from vae_jax.errors import InputError, RunDiverged, RunStopped, explain_interrupt
from vae_jax.evaluation import Terms
from vae_jax.evaluation.scan import MATMUL_PRECISION
from vae_jax.experiment import metrics
from vae_jax.experiment.evaluator import (
    evaluation_params,
    make_context,
    make_run_evaluator,
    summarize_split,
)
from vae_jax.experiment.figures import plot_front, plot_runs
from vae_jax.experiment.load import restore_params
from vae_jax.experiment.overrides import advise_evaluation, apply_override, check_same_run
from vae_jax.experiment.results import Results, best_trial, describe, describe_training
from vae_jax.experiment.run import Run, make_runs
from vae_jax.experiment.selection import Selection, select_checkpoint
from vae_jax.experiment.storage.checkpoint import Checkpoints
from vae_jax.experiment.storage.environment import command, environment
from vae_jax.experiment.storage.metric_writer import read_metrics
from vae_jax.experiment.storage.workdir import read_config
from vae_jax.files import Path, as_path
from vae_jax.likelihoods import OptimalGaussian
from vae_jax.types import Params

logger = logging.getLogger(__name__)
Announce = Callable[[Mapping[str, Any]], None]


class Best(NamedTuple):
    """The checkpoint of a run that is measured: its evaluation parameters, and why it is."""

    params: Params
    selection: Selection


def evaluate_workdir(
    workdir: str | os.PathLike, override: Config | None = None, announce: Announce | None = None
) -> dict[str, Any]:
    """Evaluate a run, or every trial of a sweep, again, and plot it; returns the results.

    `override` may differ from the saved config in `evaluation`, in the location of the data, and
    in `train.select`. `announce` is called with the results before the figures are plotted.
    """
    config = apply_override(override, read_config(as_path(workdir)), workdir)
    runs = make_runs(config, workdir)
    bests = [load_best(run) for run in runs]
    return evaluate_runs(runs, bests, config, workdir, is_training=False, announce=announce)


def load_best(run: Run) -> Best | InputError:
    """Load the best checkpoint of a run; returns the error if its checkpoints are unusable."""
    try:
        with Checkpoints(run.workdir, for_writing=False) as checkpoints:
            return find_best(run, checkpoints)
    except InputError as error:
        return error


def find_best(
    run: Run, checkpoints: Checkpoints, known: Mapping[int, Params] | None = None
) -> Best | InputError:
    """Select the checkpoint to measure; returns the error if the checkpoints are unusable.

    Its parameters are restored unless they are among the `known` ones, by step.
    """
    try:
        selection = select_checkpoint(checkpoints, rule=run.config.train.select)
        saved = checkpoints.describe(selection.step)
        check_same_run(run.config, saved.config, run.workdir / "checkpoints")
        check_same_data(identity(run.dataset), saved.data, os.fspath(run.workdir / "checkpoints"))
        params = (known or {}).get(selection.step)
        if params is None:
            restored = restore_params(checkpoints, selection.step, run.model, run.tx)
            params = evaluation_params(run, restored)
    except InputError as error:
        return error
    if selection.rule != run.config.train.select:
        logger.warning("%s: %s", run.workdir, selection)
    return Best(params, selection)


def evaluate_runs(
    runs: Sequence[Run],
    bests: Sequence[Best | InputError],
    config: Config,
    workdir: str | os.PathLike,
    *,
    is_training: bool = True,
    announce: Announce | None = None,
) -> dict[str, Any]:
    """Evaluate the one run of a config, or the trials of its sweep, at their best checkpoints.

    `announce` is called with the results before the figures are plotted.

    Raises:
      InputError: the checkpoint of the run is unusable.
      RunStopped: as `evaluate_run`, or trials failed.
      Interrupted: by Ctrl-C; the message has the command that evaluates the run.
    """
    with explain_interrupt(lambda: advise_evaluation(workdir, is_training=is_training)):
        if sweep.sweep_lists(config):
            trials, failed, contexts = evaluate_trials(runs, bests, is_training=is_training)
            models = [
                (run, best.params)
                for run, best in zip(runs, bests, strict=True)
                if run.workdir.name in trials
            ]
            where, later = as_path(workdir), {"contexts": contexts, "announce": announce}
            return write_sweep(runs, trials, failed, models, config, where, **later)
        (best,) = bests
        if isinstance(best, InputError):
            raise best
        numbers, context = evaluate_run(runs[0], *best, is_training=is_training)
        if announce is not None:
            announce(numbers)
        plot_runs([context])
        return numbers


def evaluate_run(
    run: Run, params: Params, selection: Selection, *, is_training: bool = True
) -> tuple[dict[str, Any], metrics.Context]:
    """Write the numbers on validation and test to `results.json`; returns them and the context.

    Earlier metrics of the same step stay in `results.json` unless the config asks for them again.

    Args:
      params: evaluation parameters, see `evaluator.evaluation_params`.
      selection: the checkpoint that they come from.
      is_training: True at the end of training, whose command is kept beside later ones.

    Raises:
      RunDiverged: the numbers are not finite; they are written nevertheless.
    """
    c = run.config.evaluation
    evaluate, results = make_run_evaluator(run, c.num_samples), Results(run.workdir)
    step = selection.step
    logger.info("evaluating %s, on %d test images", selection, run.dataset.test.num_examples)
    terms = {split: evaluate(params, split) for split in ("valid", "test")}
    results.put(
        {
            "name": run.config.name,
            "seed": run.config.seed,
            "step": step,
            "selection": selection.to_json(),
            "likelihood": run.config.model.likelihood,
            "estimator": _estimator(run),
            "environment": environment(),
            "command": command(),
            **results.training_command(step, is_training=is_training),
            "training": describe_training(run.config, run.workdir, step),
            "evaluation": dataclasses.asdict(c),
            "matmul_precision": MATMUL_PRECISION,
            "data": {
                "name": run.dataset.name,
                **_sizes(run.dataset),
                **run.dataset.preparation,
            },
            **{split: summarize_split(run, values) for split, values in terms.items()},
            **results.metrics_of(step),
        }
    )
    context = make_context(run, params, terms["test"])
    has_diverged = not np.isfinite(results.numbers["test"]["distortion"])
    names = ("collapse",) if has_diverged else None  # its verdict: diverged
    for name, numbers, seconds in metrics.measure(context, names):
        logger.info("%s", metrics.describe(name, numbers))
        results.put_metric(name, numbers, seconds)
    if has_diverged:
        raise RunDiverged(
            f"the evaluation of step {step} is not finite, so the run diverged; see {run.workdir}"
        )
    return results.numbers, context


def _estimator(run: Run) -> str:
    c = run.config.evaluation
    draws = "1 draw" if c.num_samples == 1 else f"{c.num_samples} draws"
    text = (
        f"ELBO in nats per example, {draws} of z each in batches of {c.batch_size} with seed "
        f"{c.seed}, standard error over examples"
    )
    if isinstance(run.model.likelihood, OptimalGaussian):
        text += "; one sigma for all, fitted to the training set"
    return text


def _sizes(dataset: Dataset) -> dict[str, int]:
    return {
        f"num_{split}": getattr(dataset, split).num_examples for split in ("train", "valid", "test")
    }


def evaluate_trials(
    runs: Sequence[Run], bests: Sequence[Best | InputError], *, is_training: bool = True
) -> tuple[dict[str, dict[str, Any]], dict[str, str], list[metrics.Context]]:
    """Evaluate every trial.

    Returns the results of trials, the reasons of those that failed, and contexts for the figures.
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
      config: of the sweep.
      workdir: of the sweep.
      contexts: of the trials whose figures are not plotted yet.
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
        **best_trial(trials),
    }
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
            f"the remaining ones are in {workdir / 'trials'}:\n{reasons}"
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
