"""The final numbers of one run."""

import dataclasses
import logging
from typing import Any

from vae_jax.data import Dataset
from vae_jax.errors import RunDiverged
from vae_jax.evaluation.scan import MATMUL_PRECISION
from vae_jax.evaluation.terms import Terms, has_diverged
from vae_jax.experiment import metrics
from vae_jax.experiment.measurement.columns import summarize_columns
from vae_jax.experiment.measurement.evaluator import (
    make_context,
    make_run_evaluator,
    summarize_splits,
)
from vae_jax.experiment.measurement.left_out import find_left_out
from vae_jax.experiment.results import Results, describe_training
from vae_jax.experiment.run import Run
from vae_jax.experiment.selection import Selection
from vae_jax.experiment.storage.environment import command_line, environment
from vae_jax.nets.attributes import read_attribute
from vae_jax.types import Params

logger = logging.getLogger(__name__)


def evaluate_run(
    run: Run,
    params: Params,
    selection: Selection,
    validation: Terms | None = None,
    *,
    is_training: bool = True,
) -> tuple[dict[str, Any], metrics.Context]:
    """Write the numbers on validation and test to `results.json`; returns them and the context.

    Earlier metrics of the same step stay in `results.json` unless the config asks for them again.

    Args:
      params: evaluation parameters, see `evaluator.evaluation_params`.
      selection: the checkpoint that they come from.
      validation: terms of validation with one draw of z, if they are known.
      is_training: True at the end of training, whose command is kept along with later commands.

    Raises:
      RunDiverged: the numbers are not finite; they are written nevertheless.
    """
    c = run.config.evaluation
    evaluate, results = make_run_evaluator(run, c.num_samples), Results(run.workdir)
    step = selection.step
    noun = "images" if len(run.dataset.shape) == 3 else "rows"
    noun = noun if run.dataset.text is None else "lines"
    logger.info("evaluating %s, on %d test %s", selection, run.dataset.test.num_examples, noun)
    if validation is None or c.num_samples > 1:
        validation = evaluate(params, "valid")
    terms = {"valid": validation, "test": evaluate(params, "test")}
    context = make_context(run, params, terms["test"], step)
    results.put(
        {
            "name": run.config.name,
            "seed": run.config.seed,
            "step": step,
            "selection": selection.to_json(),
            "likelihood": run.config.model.likelihood,
            "estimator": _estimator(run),
            "environment": environment(),
            "command": command_line(),
            **results.training_command(step, is_training=is_training),
            "training": describe_training(run.config, run.workdir, step),
            "evaluation": dataclasses.asdict(c),
            "matmul_precision": MATMUL_PRECISION,
            "data": {
                "name": run.dataset.name,
                **_count_examples(run.dataset),
                **run.dataset.preparation,
            },
            **find_left_out(run.workdir, terms),
            **summarize_splits(run, terms),
            **summarize_columns(run, context),
            **results.metrics_of(step),
        }
    )
    diverged = has_diverged(terms["test"].is_finite)
    names = ("collapse",) if diverged else None  # its verdict: diverged
    for name, numbers, seconds in metrics.measure(context, names):
        if "verdict" not in numbers:  # it is in the results at once
            logger.info("%s", metrics.describe(name, numbers))
        results.put_metric(name, numbers, seconds)
    if diverged:
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
    if run.dataset.text is not None:
        text += "; bits per token: -ELBO of all examples by all their tokens, ends included"
    elif run.dataset.test.observed is not None:
        text += "; of the observed values alone, and so is the baseline"
    if read_attribute(run.model.likelihood, "batch_scale"):
        text += "; one sigma for all, fitted to the training set"
    return text


def _count_examples(dataset: Dataset) -> dict[str, int]:
    return {
        f"num_{split}": getattr(dataset, split).num_examples for split in ("train", "valid", "test")
    }
