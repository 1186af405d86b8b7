"""Final numbers and figures of a run."""

import functools
import logging
import os
import pathlib
import time
from typing import Any

import jax
import numpy as np

from vae_jax import build, parallel, trained, visualize
from vae_jax import config as config_lib
from vae_jax.config import Config
from vae_jax.data import Dataset
from vae_jax.evaluation import Terms, make_evaluator, summarize
from vae_jax.evaluation.terms import Evaluator
from vae_jax.records import read_metrics, write_json
from vae_jax.run import Run, check_same, make_run, read_config
from vae_jax.types import Params

logger = logging.getLogger(__name__)


def evaluate_workdir(workdir: str | os.PathLike, override: Config | None = None) -> dict[str, Any]:
    """Evaluates a finished or interrupted run again, and draws it; returns the results.

    `override` may differ from the saved config in `evaluation`, and in where the data are.
    """
    saved = read_config(pathlib.Path(workdir))
    if override is not None:
        free = ("evaluation.", "data.dir", "data.path")
        check_same(override, saved, workdir, [line for line in config_lib.flatten(saved) if line.startswith(free)])
    return evaluate_run(make_run(override or saved, workdir))


def evaluate_run(run: Run) -> dict[str, Any]:
    """Final numbers of the best checkpoint on validation and test, written to `results.json`, and the figures."""
    began = time.monotonic()
    model = trained.load(run.workdir)
    params = parallel.replicate(model.params, run.mesh)
    terms = {split: evaluate(run, params, split, run.config.evaluation.num_samples) for split in ("valid", "test")}
    results = {
        "name": run.config.name,
        "seed": run.config.seed,
        "step": model.step,
        "likelihood": run.config.model.likelihood,
        "estimator": f"ELBO in nats per example, {run.config.evaluation.num_samples} draws of z each, "
        "standard error over examples; checkpoint of the best validation score",
        "data": {"name": run.dataset.name, **_sizes(run.dataset), **run.dataset.preparation},
        **{split: summarize_split(run, values) for split, values in terms.items()},
    }
    write_json(run.workdir / "results.json", results)
    visualize.draw_all(
        model,
        run.dataset,
        terms["test"],
        read_metrics(run.workdir),
        run.workdir / "figures",
        corruption=build.build_corruption(run.config),
    )
    logger.info("evaluated in %.1f s", time.monotonic() - began)
    return results


def describe(results: dict[str, Any]) -> str:
    """The final numbers in a line or two, with how they were made."""
    test, data = results["test"], results["data"]
    if np.isfinite(test["elbo"]):
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


def evaluate(run: Run, params: Params, split: str, num_samples: int = 1) -> Terms:
    """The per-example terms of a split, with the config's evaluation seed."""
    source = parallel.replicate(getattr(run.dataset, split), run.mesh)
    return _evaluator(run, num_samples)(params, source, jax.random.key(run.config.evaluation.seed))


def summarize_split(run: Run, terms: Terms) -> dict[str, float]:
    """The numbers made of those terms, in the units of the data of the run."""
    return summarize(terms, run.dataset.shape, run.dataset.test.value_range)


@functools.cache
def _evaluator(run: Run, num_samples: int) -> Evaluator:
    corruption = build.build_corruption(run.config)
    batch_size = run.config.evaluation.batch_size
    return make_evaluator(run.model, batch_size=batch_size, num_samples=num_samples, corruption=corruption, mesh=run.mesh)


def _sizes(dataset: Dataset) -> dict[str, int]:
    return {f"num_{split}": getattr(dataset, split).num_examples for split in ("train", "valid", "test")}
