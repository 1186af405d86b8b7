"""Scores of checkpoints: the objective's own value on the validation split, compiled once."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from vae_jax import parallel
from vae_jax.config import sweep
from vae_jax.evaluation.scan import over_batches
from vae_jax.evaluation.sigma import with_fixed_sigma
from vae_jax.experiment import builders
from vae_jax.experiment.evaluator import split_keys
from vae_jax.experiment.run import Run
from vae_jax.types import Array, Batch, Params

Scorer = Callable[[Params, int], float]
"""(evaluation parameters, step) -> the score, nats per example, higher is better."""


def make_scorers(runs: Sequence[Run]) -> list[Scorer]:
    """Return the scorer of each run; the trials of a sweep share one compiled program.

    The score is the mean, over the validation examples, of the value of their batch: the negative
    loss of training with all schedules at their final values. Batches have one size, at most that
    of training, because objectives such as MMD depend on it. So the last one may begin the split
    again. The noise is that of `config.evaluation.seed`, the same for all checkpoints.
    """
    first = runs[0]
    num_examples = first.dataset.train.num_examples
    values = sweep.trial_values([run.config for run in runs])

    def one_batch(arguments: tuple[Params, dict, Array], batch: Batch, key: Array) -> Array:
        params, values, step = arguments
        config = sweep.with_values(first.config, values)
        model = builders.build_model(config, first.dataset.shape) if values else first.model
        value = builders.build_value(config, with_fixed_sigma(model), num_examples)
        return jnp.broadcast_to(value(params, batch, key, step), len(batch["x"]))

    size = _batch_size(first.dataset.valid.num_examples, first.config.train.batch_size)
    score = over_batches(one_batch, batch_size=size, mesh=first.mesh)

    def scorer(run: Run, own: Mapping[str, Any]) -> Scorer:
        def compute(params: Params, step: int) -> float:
            final = np.int32(builders.final_step(run.config, step))
            arguments = ((params, own, final), run.dataset.valid, split_keys(run)["valid"])
            return float(np.mean(score(*parallel.replicate(arguments, run.mesh)), dtype=np.float64))

        return compute

    rows = [{name: column[i] for name, column in values.items()} for i in range(len(runs))]
    return [scorer(run, row) for run, row in zip(runs, rows, strict=True)]


def _batch_size(num_examples: int, max_size: int) -> int:
    """The size of the fewest equal batches of at most `max_size`."""
    return -(-num_examples // -(-num_examples // max_size))
