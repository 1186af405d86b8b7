"""The project's training, as in its loop: a config, its parts, compiled calls of several steps."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from benchmarks.contestants.memory import jax_peak
from benchmarks.tasks import TASKS, Task
from vae_jax import parallel, train
from vae_jax.config import Config
from vae_jax.data import ArraySource, order
from vae_jax.experiment import builders


class Ours:
    """Steps as in the loop: the metrics of a call are read while the next one runs."""

    def __init__(self, config: Config, source: ArraySource) -> None:
        c, mesh = config.train, parallel.data_mesh()
        model, tx = builders.build_model(config, source.shape), builders.build_optimizer(config)
        indices = functools.partial(
            order.batch_index,
            num_examples=source.num_examples,
            batch_size=c.batch_size,
            seed=config.seed,
        )
        self._epoch = train.make_train_epoch(
            builders.build_loss(config, model, source.num_examples),
            tx,
            order=indices,
            num_steps=c.log_every,
            post_update=builders.build_post_update(config),
            mesh=mesh,
        )
        x = source.take(np.zeros(1, np.int32), jax.random.key(1))["x"]
        self._state = parallel.replicate(train.init_state(jax.random.key(0), model, x, tx), mesh)
        self._source = parallel.replicate(source, mesh)
        self._pending: Any = None
        self.units_per_call = c.log_every * c.batch_size
        num_parameters = sum(leaf.size for leaf in jax.tree.leaves(self._state.params["params"]))
        self.info = {
            "parameters": num_parameters,
            "device": jax.devices()[0].device_kind,
            "steps_per_call": c.log_every,
        }

    def call(self) -> None:
        """`log_every` steps."""
        self._state, metrics = self._epoch(self._state, self._source)
        self.wait()
        self._pending = metrics

    def wait(self) -> None:
        """Read the metrics of the last call."""
        if self._pending is not None:
            loss = jax.device_get(self._pending)["loss"]
            self._pending = None
            if not np.isfinite(loss).all():
                raise FloatingPointError("the loss is not finite")

    def device_peak(self) -> int:
        """Peak bytes on the accelerator so far."""
        return jax_peak()


def prepare(task_name: str, dtype: str, variant: str) -> Callable[[], Ours]:
    """Ours on a task."""
    del variant
    task = TASKS[task_name]
    config = task.make_config()
    config.model.dtype = dtype
    return functools.partial(Ours, config, make_source(task, task.num_examples))


def make_source(task: Task, num_examples: int) -> ArraySource:
    """Examples of a task on the device: images, or tokens with the mask of their length."""
    x = jax.device_put(task.examples(num_examples))
    if task.num_tokens:
        return ArraySource(x, value_range=(0.0, task.num_tokens - 1.0), observed=x > 0)
    return ArraySource(x, scale=1 / 255, dynamic=task.dynamic)
