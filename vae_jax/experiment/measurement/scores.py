"""Scores of checkpoints: the objective's own value on the validation split, compiled once."""

import concurrent.futures
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from vae_jax import parallel
from vae_jax.config import sweep
from vae_jax.evaluation.scan import over_batches
from vae_jax.evaluation.sigma import with_fixed_sigma
from vae_jax.experiment import builders
from vae_jax.experiment.measurement.ahead import AheadOfTime, describe_shapes
from vae_jax.experiment.measurement.evaluator import split_keys
from vae_jax.experiment.run import Run
from vae_jax.types import Array, Batch, Params


@dataclasses.dataclass(frozen=True)
class Scorer:
    """(evaluation parameters, step) -> the score, nats per example, higher is better.

    Attributes:
      run: the run whose checkpoints are scored.
      values: values of the trial, in the fields that its sweep varies.
      score: ((params, values, step), source, key) -> scores [N]; shared by all trials.
    """

    run: Run
    values: Mapping[str, Any]
    score: AheadOfTime

    def __call__(self, params: Params, step: int) -> float:
        """The score of a checkpoint."""
        arguments = parallel.replicate(self._arguments(params, step), self.run.mesh)
        return float(np.mean(self.score(*arguments), dtype=np.float64))

    def compile_in(self, pool: concurrent.futures.Executor, params: Params) -> None:
        """Begin to compile the score for parameters of these shapes, in a thread of the pool."""
        places = parallel.replicated(self.run.mesh)
        self.score.compile_in(pool, *describe_shapes(self._arguments(params, 0), places))

    def _arguments(self, params: Params, step: int) -> tuple[Any, ...]:
        final = np.int32(builders.final_step(self.run.config, step))
        return (params, self.values, final), self.run.dataset.valid, split_keys(self.run)["valid"]


def make_scorers(runs: Sequence[Run]) -> list[Scorer]:
    """Return the scorer of each run; the trials of a sweep share one compiled program.

    The score is the mean, over the validation examples, of the value of their batch: the negative
    loss of training with all schedules at their final values. Batches have one size, at most that
    of training, because objectives such as MMD depend on it. So the last batch may begin the split
    again. The noise depends on `config.evaluation.seed`, the same for all checkpoints.
    """
    first = runs[0]
    num_examples = first.dataset.train.num_examples
    values = sweep.trial_values([run.config for run in runs])

    def one_batch(arguments: tuple[Params, dict, Array], batch: Batch, key: Array) -> Array:
        params, values, step = arguments
        config = sweep.with_values(first.config, values)
        model = first.model
        if values:
            model = builders.build_model(config, first.dataset.shape, first.model.units)
        value = builders.build_value(config, with_fixed_sigma(model), num_examples)
        return jnp.broadcast_to(value(params, batch, key, step), len(batch["x"]))

    size = _batch_size(first.dataset.valid.num_examples, first.config.train.batch_size)
    score = AheadOfTime(over_batches(one_batch, batch_size=size, mesh=first.mesh))
    rows = [{name: column[i] for name, column in values.items()} for i in range(len(runs))]
    return [Scorer(run, row, score) for run, row in zip(runs, rows, strict=True)]


def _batch_size(num_examples: int, max_size: int) -> int:
    """The size of the fewest equal batches of at most `max_size`."""
    return -(-num_examples // -(-num_examples // max_size))
