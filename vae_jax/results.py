"""Final numbers and figures of a run, or of the lanes of a sweep."""

import functools
import logging
import os
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from vae_jax import build, parallel, processes, sweep, trained, visualize
from vae_jax import config as config_lib
from vae_jax.config import Config
from vae_jax.data import Dataset
from vae_jax.data.prepare import SPLITS
from vae_jax.errors import InputError, RunStopped
from vae_jax.evaluation import Terms, make_evaluator, summarize
from vae_jax.evaluation.sigma import settle, settled
from vae_jax.evaluation.terms import Evaluator
from vae_jax.likelihoods import OptimalGaussian
from vae_jax.models import VAE
from vae_jax.records import read_metrics, write_json
from vae_jax.run import Run, make_runs
from vae_jax.types import Params
from vae_jax.workdir import read_config

logger = logging.getLogger(__name__)


def evaluate_workdir(workdir: str | os.PathLike, override: Config | None = None) -> dict[str, Any]:
    """Evaluates a finished or interrupted run, or every lane of a sweep, again, and draws it; returns the results.

    `override` may differ from the saved config in `evaluation`, and in where the data are.
    """
    saved = read_config(pathlib.Path(workdir))
    if override is not None:
        _check_same_run(override, saved, workdir)
    config = override or saved
    runs = make_runs(config, workdir)
    return evaluate_lanes(runs, config, workdir) if sweep.swept(config) else evaluate_run(runs[0])


def _check_same_run(config: Config, saved: Config, where: str | os.PathLike) -> None:
    """InputError where two configs differ in more than how a run is evaluated."""
    other = ("data.dir", "data.path", "data.streaming", "data.workers", "sweep.chunk")
    free = [field for field in config_lib.flatten(saved) if field.startswith(("evaluation.", *other))]
    config_lib.check_same(config, saved, f"workdir = {os.fspath(where)!r}", free)


def evaluate_run(run: Run) -> dict[str, Any]:
    """Final numbers of the best checkpoint on validation and test, written to `results.json`, and the figures.

    Raises:
      RunStopped: the numbers are not finite (they are written all the same).
    """
    model, c = trained.load(run.workdir), run.config.evaluation
    _check_same_run(run.config, model.config, run.workdir / "checkpoints")
    evaluate = evaluator_of(run, c.num_samples)
    logger.info("evaluating step %d on %d test images", model.step, run.dataset.test.num_examples)
    terms = {split: evaluate(model.params, split) for split in ("valid", "test")}
    results = {
        "name": run.config.name,
        "seed": run.config.seed,
        "step": model.step,
        "likelihood": run.config.model.likelihood,
        "estimator": f"ELBO in nats per example, {c.num_samples} draws of z each in batches of {c.batch_size} with seed "
        f"{c.seed}, standard error over examples; checkpoint of the best validation score{_caveat(run)}",
        "data": {"name": run.dataset.name, **_sizes(run.dataset), **run.dataset.preparation},
        **{split: summarize_split(run, values) for split, values in terms.items()},
    }
    if processes.is_first():
        write_json(run.workdir / "results.json", results)
    if not np.isfinite(results["test"]["distortion"]):
        raise RunStopped(f"the evaluation of step {model.step} is not finite, so the run diverged; see {run.workdir}")
    if processes.is_first():
        _draw(run, model, terms["test"])
    return results


def _draw(run: Run, model: trained.Trained, terms: Terms) -> None:
    logger.info("drawing")
    visualize.draw_all(
        model,
        run.dataset,
        terms,
        read_metrics(run.workdir),
        run.workdir / "figures",
        corruption=build.build_corruption(run.config),
    )


def evaluate_lanes(runs: Sequence[Run], config: Config, workdir: str | os.PathLike) -> dict[str, Any]:
    """The results of every lane, written to the `results.json` of the sweep, and the figure of rates and distortions.

    Raises:
      RunStopped: some lanes diverged; the others, and what there is of those, are evaluated and written all the same.
    """
    workdir, lanes, failed = pathlib.Path(workdir), {}, {}
    for run in runs:
        try:
            lanes[run.workdir.name] = evaluate_run(run)
        except (InputError, RunStopped) as error:  # InputError: its checkpoints are damaged
            failed[run.workdir.name] = str(error)
            continue
        stopped = next((line["stopped"] for line in read_metrics(run.workdir) if "stopped" in line), None)
        if stopped is not None:
            failed[run.workdir.name] = stopped
    results = {"name": config.name, "swept": sweep.swept(config), "lanes": lanes, "failed": failed}
    write_json(workdir / "results.json", results)
    points = [
        (sweep.values_of(run.config, config), lanes[run.workdir.name]["test"]) for run in runs if run.workdir.name in lanes
    ]
    if any(np.isfinite(test["rate"]) for _, test in points):
        (workdir / "figures").mkdir(exist_ok=True)
        visualize.save(visualize.rate_distortion(points), workdir / "figures" / "rate_distortion.png")
    if failed:
        logger.info("%s", describe(results))
        reasons = "\n".join(f"  {name}: {reason}" for name, reason in failed.items())
        raise RunStopped(f"{len(failed)} of {len(runs)} lanes failed, the others are in {workdir / 'lanes'}:\n{reasons}")
    return results


def describe(results: dict[str, Any]) -> str:
    """The final numbers in a line or two, with how they were made; of a sweep, a line for each lane."""
    if "lanes" in results:
        return "\n".join(f"{name}: {describe(lane)}" for name, lane in results["lanes"].items())
    test, data = results["test"], results["data"]
    if test["rate"] < np.inf:
        bound = f"test ELBO {test['elbo']:.2f} +- {test['elbo_stderr']:.2f} nats"
        parts = f"distortion {test['distortion']:.2f}, rate {test['rate']:.2f}, {test['bits_per_dim']:.4f} bits/dim, "
    else:
        bound, parts = f"test distortion {test['distortion']:.2f} nats (no ELBO: a deterministic posterior has no rate)", ""
    how = f"{results['likelihood']} likelihood, binarization {data['binarization']}"
    return (
        f"{bound} ({data['name']}, {data['num_test']} images, {how}; step {results['step']})\n"
        f"  {parts}MSE {test['mse']:.5f}, PSNR {test['psnr']:.2f} dB, "
        f"{test['active_units']} active units"
    )


def evaluator_of(run: Run, num_samples: int = 1) -> Callable[[Params, str], Terms]:
    """(params, split) -> Terms, with the config's evaluation seed; compiled once for each split and model."""
    c, objective = run.config.evaluation, run.config.objective
    key_sigma, *keys = jax.random.split(jax.random.key(c.seed), 1 + len(SPLITS))
    evaluator = _compiled(
        *(run.model, c.batch_size, num_samples, objective.corruption, objective.corruption_level), mesh=run.mesh
    )

    def evaluate(params: Params, split: str) -> Terms:
        params = settle(run.model, jax.device_get(params), run.dataset.train, key_sigma)
        arguments = (params, getattr(run.dataset, split), keys[SPLITS.index(split)])
        return evaluator(*parallel.replicate(arguments, run.mesh))

    return evaluate


@functools.lru_cache(maxsize=8)  # the lanes of a sweep share it
def _compiled(
    model: VAE, batch_size: int, num_samples: int, corruption: str, level: float, *, mesh: jax.sharding.Mesh | None
) -> Evaluator:
    return make_evaluator(
        settled(model),
        batch_size=batch_size,
        num_samples=num_samples,
        corruption=build.CORRUPTIONS[corruption](level),
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
    return {f"num_{split}": getattr(dataset, split).num_examples for split in ("train", "valid", "test")}
