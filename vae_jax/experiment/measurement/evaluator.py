"""The compiled evaluator of a run, and the summary of a split."""

import concurrent.futures
import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax

from vae_jax import parallel
from vae_jax.data.sources import pad_source
from vae_jax.data.splits import SPLITS
from vae_jax.evaluation import BaselineScores, Terms, make_evaluator, summarize
from vae_jax.evaluation.common import bits_per_token, mean_estimate
from vae_jax.evaluation.sigma import fit_sigma, with_fixed_sigma
from vae_jax.evaluation.terms import has_diverged
from vae_jax.experiment import builders, metrics
from vae_jax.experiment.measurement.ahead import AheadOfTime, describe_shapes
from vae_jax.experiment.measurement.baselines import score_baseline
from vae_jax.experiment.metrics.context import name_estimate
from vae_jax.experiment.run import Run
from vae_jax.models.base import Model
from vae_jax.types import Array, Params


def evaluation_params(run: Run, params: Params) -> Params:
    """Return the parameters on the host; an optimal sigma is replaced by a fit to the training set.

    All other functions of the evaluation take these parameters.
    """
    key, _ = _keys(run)
    return fit_sigma(run.model, jax.device_get(params), run.dataset.train, key)


def make_run_evaluator(run: Run, num_samples: int = 1) -> Callable[[Params, str], Terms]:
    """Make (evaluation parameters, split) -> Terms, compiled once for each model and shape of data.

    Validation and test of a small data set have one shape, see `pad_source`.
    """
    keys = split_keys(run)
    evaluator = _evaluator(run, num_samples)

    def evaluate(params: Params, split: str) -> Terms:
        arguments = (params, _source(run, split), keys[split])
        return evaluator(*parallel.replicate(arguments, run.mesh))

    return evaluate


def compile_ahead(
    run: Run, params: Params, split: str, num_samples: int, pool: concurrent.futures.Executor
) -> None:
    """Begin to compile the evaluator of a split for parameters of these shapes."""
    arguments = (params, _source(run, split), split_keys(run)[split])
    places = parallel.replicated(run.mesh)
    _evaluator(run, num_samples).compile_in(pool, *describe_shapes(arguments, places))


def _source(run: Run, split: str) -> Any:
    """The source of validation or test; if they are small, both have equal shapes."""
    num_rows = max(run.dataset.valid.num_examples, run.dataset.test.num_examples)
    return pad_source(getattr(run.dataset, split), num_rows)


def _evaluator(run: Run, num_samples: int) -> AheadOfTime:
    config = run.config
    return _compiled(
        run.model,
        config.evaluation.batch_size,
        num_samples,
        config.objective.corruption,
        config.objective.corruption_level,
        mesh=run.mesh,
    )


def split_keys(run: Run) -> dict[str, Array]:
    """The key of each split, for the noise of its evaluation."""
    return _keys(run)[1]


def _keys(run: Run) -> tuple[Array, dict[str, Array]]:
    """Keys for the fit of sigma and for each split."""
    key_sigma, *keys = _split(jax.random.key(run.config.evaluation.seed))
    return key_sigma, dict(zip(SPLITS, keys, strict=True))


@jax.jit  # key by key, it would be several programs
def _split(key: Array) -> tuple[Array, ...]:
    return tuple(jax.random.split(key, 1 + len(SPLITS)))


@functools.lru_cache(maxsize=8)  # shared by the trials of a sweep
def _compiled(
    model: Model,
    batch_size: int,
    num_samples: int,
    corruption: str,
    level: float,
    *,
    mesh: jax.sharding.Mesh | None,
) -> AheadOfTime:
    return AheadOfTime(
        make_evaluator(
            with_fixed_sigma(model),
            batch_size=batch_size,
            num_samples=num_samples,
            corruption=builders.make_corruption(corruption, level, model.units),
            mesh=mesh,
        )
    )


def summarize_split(run: Run, terms: Terms) -> dict[str, float]:
    """Summarize the terms of a split, in the units of the run's data."""
    is_text = run.dataset.text is not None
    return summarize(terms, run.dataset.shape, run.dataset.test.value_range, is_text=is_text)


def summarize_splits(run: Run, terms: Mapping[str, Terms]) -> dict[str, Any]:
    """Summarize each split with its baseline."""
    numbers: dict[str, Any] = {
        split: summarize_split(run, values) | summarize_baseline(run, values, split)
        for split, values in terms.items()
    }
    numbers["baseline"] = baseline_of(run, "test").name
    return numbers


def baseline_of(run: Run, split: str) -> BaselineScores:
    """Score the trivial baseline on every example of a split."""
    return score_baseline(run.dataset, run.model.likelihood, split)


def summarize_baseline(run: Run, terms: Terms, split: str) -> dict[str, float]:
    """The mean log-likelihood of the baseline on the examples that have a bound, in nats.

    Of text also of the simpler baselines, and the bits per token of each.
    """
    scores = baseline_of(run, split)
    finite = terms.is_finite
    if not has_diverged(finite):
        scores = scores.select(finite)
        terms = terms.select(finite)
    names = {"baseline": scores.log_px}
    names |= {f"{name}_baseline": log_px for name, log_px in scores.simpler.items()}
    numbers: dict[str, float] = {}
    for name, log_px in names.items():
        numbers |= name_estimate(name, mean_estimate(log_px))
        if run.dataset.text is not None and terms.num_observed is not None:
            bits = bits_per_token(log_px, terms.num_observed)
            numbers |= name_estimate(f"{name}_bits_per_token", bits)
    return numbers


def make_context(
    run: Run, params: Params, terms: Terms, step: int | None = None
) -> metrics.Context:
    """Make the context of the metrics: evaluation parameters, and the terms of the test set."""
    model = with_fixed_sigma(run.model)
    baseline = baseline_of(run, "test")
    return metrics.Context(
        run.config, run.workdir, run.dataset, model, params, terms, run.mesh, baseline, step
    )
