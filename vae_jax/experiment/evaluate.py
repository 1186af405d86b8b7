"""Final numbers and figures of a run, or of the trials of a sweep."""

import dataclasses
import functools
import json
import logging
import os
import pathlib
from collections.abc import Callable, Collection, Sequence
from typing import Any

import jax
import numpy as np
from flax import linen as nn

from vae_jax import config as config_lib
from vae_jax import parallel, visualize
from vae_jax.config import Config, sweep
from vae_jax.data import Dataset
from vae_jax.data.prepare import SPLITS
from vae_jax.errors import InputError, RunStopped
from vae_jax.evaluation import Terms, make_evaluator, summarize
from vae_jax.evaluation.sigma import fit_sigma, with_fixed_sigma
from vae_jax.evaluation.terms import Evaluator
from vae_jax.experiment import builders, load, metrics, processes
from vae_jax.experiment.run import Run, make_runs
from vae_jax.experiment.storage.environment import command, environment
from vae_jax.experiment.storage.metric_writer import read_metrics
from vae_jax.experiment.storage.workdir import read_config
from vae_jax.files import write_json
from vae_jax.likelihoods import OptimalGaussian
from vae_jax.models.trained import TrainedModel
from vae_jax.types import Params

logger = logging.getLogger(__name__)


def evaluate_workdir(workdir: str | os.PathLike, override: Config | None = None) -> dict[str, Any]:
    """Evaluates a finished or interrupted run, or every trial of a sweep, again, and draws it; returns the results.

    `override` may differ from the saved config in `evaluation`, and in where the data are.
    """
    saved = read_config(pathlib.Path(workdir))
    if override is not None:
        _check_same_run(override, saved, workdir)
    config = override or saved
    runs = make_runs(config, workdir)
    if sweep.sweep_lists(config):
        return evaluate_trials(runs, config, workdir, is_training=False)
    return evaluate_run(runs[0], is_training=False)


def _check_same_run(config: Config, saved: Config, where: str | os.PathLike) -> None:
    """InputError where two configs differ in more than how a run is evaluated."""
    other = ("data.dir", "data.path", "data.streaming", "data.workers", "sweep.chunk")
    free = [
        field for field in config_lib.flatten(saved) if field.startswith(("evaluation.", *other))
    ]
    config_lib.check_same(config, saved, f"workdir = {os.fspath(where)!r}", free)


def evaluate_run(run: Run, *, is_training: bool = True) -> dict[str, Any]:
    """Final numbers of the best checkpoint on validation and test, written to `results.json`, and the figures.

    Metrics that `results.json` has of the same step stay there, but for those that are asked for again.

    Args:
      run: it has a checkpoint.
      is_training: whether this is the end of its training, whose command is then kept beside that of each evaluation.

    Raises:
      RunStopped: the numbers are not finite (they are written all the same).
    """
    model, c = load.load(run.workdir), run.config.evaluation
    _check_same_run(run.config, model.config, run.workdir / "checkpoints")
    evaluate, earlier = make_run_evaluator(run, c.num_samples), _earlier(run.workdir)
    logger.info("evaluating step %d on %d test images", model.step, run.dataset.test.num_examples)
    terms = {split: evaluate(model.params, split) for split in ("valid", "test")}
    draws = "1 draw" if c.num_samples == 1 else f"{c.num_samples} draws"
    results = {
        "name": run.config.name,
        "seed": run.config.seed,
        "step": model.step,
        "likelihood": run.config.model.likelihood,
        "estimator": f"ELBO in nats per example, {draws} of z each in batches of {c.batch_size} with seed "
        f"{c.seed}, standard error over examples; checkpoint of the best validation score{_caveat(run)}",
        "environment": environment(),
        "command": command(),
        **_training_command(
            earlier, is_current=earlier.get("step") == model.step, is_training=is_training
        ),
        "evaluation": dataclasses.asdict(c),
        "data": {"name": run.dataset.name, **_sizes(run.dataset), **run.dataset.preparation},
        **{split: summarize_split(run, values) for split, values in terms.items()},
    }
    results |= _kept(earlier, results)
    _write(run, results)
    if not np.isfinite(results["test"]["distortion"]):
        _measured(run, model, terms["test"], results, ("collapse",))  # the verdict: diverged
        raise RunStopped(
            f"the evaluation of step {model.step} is not finite, so the run diverged; see {run.workdir}"
        )
    if processes.is_first():
        _draw(run, model, terms["test"])
    return _measured(run, model, terms["test"], results)


def _earlier(workdir: pathlib.Path) -> dict[str, Any]:
    """What `results.json` holds so far; nothing where it is missing or damaged."""
    try:
        found = json.loads((workdir / "results.json").read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _training_command(
    earlier: dict[str, Any], *, is_current: bool, is_training: bool
) -> dict[str, str]:
    """That of the training which led here: the one on record, or, where that is of another step or none, this one."""
    known = earlier.get("training_command") if is_current or not is_training else None
    found = known or (command() if is_training else None)
    return {"training_command": found} if found else {}


def _kept(earlier: dict[str, Any], results: dict[str, Any]) -> dict[str, Any]:
    """Earlier metrics of the same step, their times, and the config of the evaluation that made each."""
    parts: dict[str, Any] = {"metrics": {}, "seconds": {}, "evaluation_of": {}}
    if earlier.get("step") == results["step"]:
        parts |= {
            name: dict(earlier[name]) for name in parts if isinstance(earlier.get(name), dict)
        }
    for name in parts["metrics"]:
        parts["evaluation_of"].setdefault(name, earlier.get("evaluation"))
    return parts


def _measured(
    run: Run,
    model: TrainedModel,
    terms: Terms,
    results: dict[str, Any],
    names: Collection[str] | None = None,
) -> dict[str, Any]:
    """The results with every metric that the config asks for, or with these, each written as soon as it is there."""
    for name, numbers, seconds in metrics.measure(make_context(run, model.params, terms), names):
        results["metrics"][name], results["seconds"][name] = numbers, seconds
        results["evaluation_of"].pop(name, None)
        logger.info("%s", metrics.describe(name, numbers))
        _write(run, results)
    return results


def make_context(run: Run, params: Params, terms: Terms) -> metrics.Context:
    """What the metrics of a run are made from: its model with these parameters, and the terms of the test set."""
    params = _settled_params(run, params)
    return metrics.Context(
        run.config, run.workdir, run.dataset, with_fixed_sigma(run.model), params, terms, run.mesh
    )


def _write(run: Run, results: dict[str, Any]) -> None:
    if processes.is_first():
        write_json(run.workdir / "results.json", results)


def _draw(run: Run, model: TrainedModel, terms: Terms) -> None:
    logger.info("drawing")
    visualize.draw_all(
        model,
        run.dataset,
        terms,
        read_metrics(run.workdir),
        run.workdir / "figures",
        corruption=builders.build_corruption(run.config),
    )


def evaluate_trials(
    runs: Sequence[Run], config: Config, workdir: str | os.PathLike, *, is_training: bool = True
) -> dict[str, Any]:
    """The results of every trial, written to the `results.json` of the sweep, and the figure of rates and distortions.

    Raises:
      RunStopped: some trials diverged; the others, and what there is of those, are evaluated and written all the same.
    """
    workdir, trials, failed = pathlib.Path(workdir), {}, {}
    for run in runs:
        try:
            trials[run.workdir.name] = evaluate_run(run, is_training=is_training)
        except (InputError, RunStopped) as error:  # InputError: its checkpoints are damaged
            failed[run.workdir.name] = str(error)
            continue
        stopped = next(
            (line["stopped"] for line in read_metrics(run.workdir) if "stopped" in line), None
        )
        if stopped is not None:
            failed[run.workdir.name] = stopped
    results = {
        "name": config.name,
        "swept": sweep.sweep_lists(config),
        "trials": trials,
        "failed": failed,
    }
    earlier = _earlier(workdir)
    if metrics.UDR in config.evaluation.metric_names:
        results["metrics"] = _agreement([run for run in runs if run.workdir.name in trials], config)
    elif "metrics" in earlier and _steps(earlier) == _steps(results):
        results["metrics"] = earlier["metrics"]
    write_json(workdir / "results.json", results)
    points = [
        (sweep.values_of(run.config, config), trials[run.workdir.name]["test"])
        for run in runs
        if run.workdir.name in trials
    ]
    if any(np.isfinite(test["rate"]) for _, test in points):
        (workdir / "figures").mkdir(exist_ok=True)
        visualize.save(
            visualize.rate_distortion(points), workdir / "figures" / "rate_distortion.png"
        )
    if failed:
        logger.info("%s", describe(results))
        reasons = "\n".join(f"  {name}: {reason}" for name, reason in failed.items())
        raise RunStopped(
            f"{len(failed)} of {len(runs)} trials failed, the others are in {workdir / 'trials'}:\n{reasons}"
        )
    return results


def _steps(results: dict[str, Any]) -> dict[str, Any]:
    """The step of each trial."""
    return {name: trial.get("step") for name, trial in (results.get("trials") or {}).items()}


def _agreement(runs: Sequence[Run], config: Config) -> dict[str, Any]:
    """UDR of the models of each setting of which there are several seeds."""
    groups: dict[str, list[Terms]] = {}
    for run in runs:
        setting = {
            name: value
            for name, value in sweep.values_of(run.config, config).items()
            if name != "seed"
        }
        terms = make_run_evaluator(run)(load.load(run.workdir).params, "test")
        groups.setdefault(sweep.trial_name(setting) or "all", []).append(terms)
    groups = {name: models for name, models in groups.items() if len(models) > 1}
    return {metrics.UDR: metrics.agreement(groups)} if groups else {}


def describe(results: dict[str, Any]) -> str:
    """The final numbers in a line or two, with how they were made; of a sweep, a line for each trial."""
    if "trials" in results:
        trials = [f"{name}: {describe(trial)}" for name, trial in results["trials"].items()]
        return "\n".join(
            trials
            + [
                metrics.describe(name, numbers)
                for name, numbers in results.get("metrics", {}).items()
            ]
        )
    test, data = results["test"], results["data"]
    if test["rate"] < np.inf:
        bound = f"test ELBO {test['elbo']:.2f} +- {test['elbo_stderr']:.2f} nats"
        parts = f"distortion {test['distortion']:.2f}, rate {test['rate']:.2f}, {test['bits_per_dim']:.4f} bits/dim, "
    else:
        bound, parts = (
            f"test distortion {test['distortion']:.2f} nats (no ELBO: a deterministic posterior has no rate)",
            "",
        )
    errors = f"MSE {test['mse']:.5f}, PSNR {test['psnr']:.2f} dB, " if "mse" in test else ""
    how = f"{results['likelihood']} likelihood, binarization {data['binarization']}"
    return (
        f"{bound} ({data['name']}, {data['num_test']} images, {how}; step {results['step']})\n"
        f"  {parts}{errors}{test['active_units']} active units"
        + "".join(
            f"\n  {metrics.describe(name, numbers)}"
            for name, numbers in results.get("metrics", {}).items()
        )
    )


def make_run_evaluator(run: Run, num_samples: int = 1) -> Callable[[Params, str], Terms]:
    """(params, split) -> Terms, with the config's evaluation seed; compiled once for each split and model."""
    c, objective = run.config.evaluation, run.config.objective
    _, *keys = jax.random.split(jax.random.key(c.seed), 1 + len(SPLITS))
    evaluator = _compiled(
        *(run.model, c.batch_size, num_samples, objective.corruption, objective.corruption_level),
        mesh=run.mesh,
    )

    def evaluate(params: Params, split: str) -> Terms:
        arguments = (
            _settled_params(run, params),
            getattr(run.dataset, split),
            keys[SPLITS.index(split)],
        )
        return evaluator(*parallel.replicate(arguments, run.mesh))

    return evaluate


def _settled_params(run: Run, params: Params) -> Params:
    """On the host, with one sigma for all examples."""
    key = jax.random.split(jax.random.key(run.config.evaluation.seed), 1 + len(SPLITS))[0]
    return fit_sigma(run.model, jax.device_get(params), run.dataset.train, key)


@functools.lru_cache(maxsize=8)  # the trials of a sweep share it
def _compiled(
    model: nn.Module,
    batch_size: int,
    num_samples: int,
    corruption: str,
    level: float,
    *,
    mesh: jax.sharding.Mesh | None,
) -> Evaluator:
    return make_evaluator(
        with_fixed_sigma(model),
        batch_size=batch_size,
        num_samples=num_samples,
        corruption=builders.CORRUPTIONS[corruption](level),
        mesh=mesh,
    )


def summarize_split(run: Run, terms: Terms) -> dict[str, float]:
    """The numbers made of those terms, in the units of the data of the run."""
    return summarize(terms, run.dataset.shape, run.dataset.test.value_range)


def _caveat(run: Run) -> str:
    if not isinstance(run.model.likelihood, OptimalGaussian):
        return ""
    return "; one sigma for all, fitted to the training set"


def _sizes(dataset: Dataset) -> dict[str, int]:
    return {
        f"num_{split}": getattr(dataset, split).num_examples for split in ("train", "valid", "test")
    }
