"""Final numbers and figures of a run."""

import logging
import os
import pathlib
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from vae_jax import build, parallel, trained, visualize
from vae_jax import config as config_lib
from vae_jax.config import Config
from vae_jax.data import Dataset
from vae_jax.data.prepare import SPLITS
from vae_jax.errors import RunStopped
from vae_jax.evaluation import Terms, make_evaluator, summarize
from vae_jax.evaluation.sigma import settle, settled
from vae_jax.likelihoods import OptimalGaussian
from vae_jax.records import read_metrics, write_json
from vae_jax.run import Run, make_run, read_config
from vae_jax.types import Params

logger = logging.getLogger(__name__)


def evaluate_workdir(workdir: str | os.PathLike, override: Config | None = None) -> dict[str, Any]:
    """Evaluates a finished or interrupted run again, and draws it; returns the results.

    `override` may differ from the saved config in `evaluation`, and in where the data are.
    """
    saved = read_config(pathlib.Path(workdir))
    if override is not None:
        free = [field for field in config_lib.flatten(saved) if field.startswith(("evaluation.", "data.dir", "data.path"))]
        config_lib.check_same(override, saved, f"workdir = {os.fspath(workdir)!r}", free)
    return evaluate_run(make_run(override or saved, workdir))


def evaluate_run(run: Run) -> dict[str, Any]:
    """Final numbers of the best checkpoint on validation and test, written to `results.json`, and the figures.

    Raises:
      RunStopped: the numbers are not finite (they are written all the same).
    """
    model, c = trained.load(run.workdir), run.config.evaluation
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
    write_json(run.workdir / "results.json", results)
    if not np.isfinite(results["test"]["distortion"]):
        raise RunStopped(f"the evaluation of step {model.step} is not finite, so the run diverged; see {run.workdir}")
    logger.info("drawing")
    visualize.draw_all(
        model,
        run.dataset,
        terms["test"],
        read_metrics(run.workdir),
        run.workdir / "figures",
        corruption=build.build_corruption(run.config),
    )
    return results


def describe(results: dict[str, Any]) -> str:
    """The final numbers in a line or two, with how they were made."""
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
    """(params, split) -> Terms, with the config's evaluation seed; it compiles once for each split, so keep it."""
    c = run.config.evaluation
    key_sigma, *keys = jax.random.split(jax.random.key(c.seed), 1 + len(SPLITS))
    corruption = build.build_corruption(run.config)
    evaluator = make_evaluator(
        settled(run.model), batch_size=c.batch_size, num_samples=num_samples, corruption=corruption, mesh=run.mesh
    )

    def evaluate(params: Params, split: str) -> Terms:
        params = settle(run.model, params, run.dataset.train, key_sigma)
        source = parallel.replicate(getattr(run.dataset, split), run.mesh)
        return evaluator(parallel.replicate(params, run.mesh), source, keys[SPLITS.index(split)])

    return evaluate


def summarize_split(run: Run, terms: Terms) -> dict[str, float]:
    """The numbers made of those terms, in the units of the data of the run."""
    return summarize(terms, run.dataset.shape, run.dataset.test.value_range)


def _caveat(run: Run) -> str:
    if not isinstance(run.model.likelihood, OptimalGaussian):
        return ""
    return "; one sigma for all, fitted to the training set"


def _sizes(dataset: Dataset) -> dict[str, int]:
    return {f"num_{split}": getattr(dataset, split).num_examples for split in ("train", "valid", "test")}
