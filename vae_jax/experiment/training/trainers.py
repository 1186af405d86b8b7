"""What the training loop advances, some steps in each compiled call: one run, or all trials of a sweep."""

import contextlib
import functools
import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

from vae_jax import parallel, train
from vae_jax.config import Config, sweep
from vae_jax.data import Source, order, streaming
from vae_jax.data.streaming import Block, Span
from vae_jax.experiment import builders
from vae_jax.experiment.run import Run
from vae_jax.train import TrainState
from vae_jax.types import Array, Metrics

logger = logging.getLogger(__name__)

Reading = Source | Iterator[Block]
Epoch = Callable[[TrainState, Reading], tuple[TrainState, Metrics]]


class Trainer(Protocol):
    """The state of one or of many runs, as one tree on the devices."""

    def reading(self, calls: Sequence[Span]) -> contextlib.AbstractContextManager[Reading]:
        """The training data, placed, for epochs of those steps and no others."""

    def initial(self) -> TrainState:
        """The state at step 0."""

    def epoch(self, num_steps: int) -> Epoch:
        """(state, reading) -> (state, metrics), compiled once for each number of steps; the state is donated."""

    def split(self, tree: Any) -> list[Any]:
        """A tree of each run's own, of a state or of metrics."""

    def join(self, states: Sequence[TrainState]) -> TrainState:
        """The opposite of `split`, placed on the devices."""


class SingleRunTrainer:
    """A run alone, its batch split over all devices."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self.source = parallel.replicate(run.dataset.train, run.mesh)
        self.epoch = functools.cache(self._make_epoch)

    def reading(self, calls: Sequence[Span]) -> contextlib.AbstractContextManager[Source]:
        return contextlib.nullcontext(self.source)

    def initial(self) -> TrainState:
        run = self._run
        init = functools.partial(initial_state, run.config, run.model, run.tx)
        return self.join([jax.jit(init, compiler_options=_run_once())(self._example())])

    def _example(self) -> Source:
        return self._run.dataset.train

    def split(self, tree: Any) -> list[Any]:
        return [tree]

    def join(self, states: Sequence[TrainState]) -> TrainState:
        return parallel.replicate(states[0], self._run.mesh)

    def _make_epoch(self, num_steps: int) -> Epoch:
        run = self._run
        indices = data_order(run.config, run.dataset.train)
        decay = run.config.optimizer.ema_decay or None
        return train.make_train_epoch(
            *(run.loss_fn, run.tx),
            order=indices,
            num_steps=num_steps,
            ema_decay=decay,
            post_update=run.post_update,
            mesh=run.mesh,
        )


class StreamingTrainer(SingleRunTrainer):
    """A run alone whose training data stay on the host: blocks of batches come to the devices while they work on others.

    The numbers are those of `OneRun`. The batches of a call that would take too much memory come in several blocks.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._most = run.dataset.train.steps_in_a_block(run.config.train.batch_size)
        self.epoch = functools.cache(self._make_epoch)
        self._block = functools.cache(self._make_block)

    def reading(self, calls: Sequence[Span]) -> contextlib.AbstractContextManager[Iterator[Block]]:
        run, batch_size = self._run, self._run.config.train.batch_size
        return streaming.stream(
            run.dataset.train,
            [part for call in calls for part in streaming.parts(call, self._most)],
            batch_size=batch_size,
            seed=run.config.seed,
            rows=parallel.own_rows(batch_size, run.mesh),
            place=functools.partial(parallel.split_batches, mesh=run.mesh),
            workers=run.config.data.workers,
        )

    def _example(self) -> Source:
        return self._run.dataset.train.at(np.zeros(1, np.int64))

    def _make_epoch(self, num_steps: int) -> Epoch:
        lengths = [stop - start for start, stop in streaming.parts((0, num_steps), self._most)]

        def epoch(state: TrainState, blocks: Iterator[Block]) -> tuple[TrainState, Metrics]:
            metrics = []
            for length in lengths:
                state, some = self._block(length)(state, next(blocks))
                metrics.append(some)
            return state, metrics[0] if len(metrics) == 1 else _concatenate(metrics)

        return epoch

    def _make_block(
        self, num_steps: int
    ) -> Callable[[TrainState, Block], tuple[TrainState, Metrics]]:
        run = self._run
        return train.make_train_epoch(
            *(run.loss_fn, run.tx),
            order=lambda steps: steps - steps[0],  # a block is read by the number of the step in it
            num_steps=num_steps,
            ema_decay=run.config.optimizer.ema_decay or None,
            post_update=run.post_update,
            mesh=run.mesh,
            batched=True,
        )


class SweepTrainer:
    """The trials of a sweep, which differ in scalars alone: one program, a leading axis of trials on every array.

    Trials are split over as many devices as divide their number. Each device takes `chunk` of its trials at a time
    under `vmap` (0: one on the CPU, all elsewhere), chunk after chunk, each with all steps of a call.
    """

    def __init__(self, runs: Sequence[Run], *, chunk: int = 0) -> None:
        self._num_trials, self._config = len(runs), runs[0].config
        self._chunk = chunk or (1 if jax.default_backend() == "cpu" else len(runs))
        self._mesh = parallel.trials_mesh(len(runs))
        used, usable = (
            1 if self._mesh is None else self._mesh.size,
            min(len(runs), jax.device_count()),
        )
        if used < usable:
            logger.warning(
                "%d trials on %d of %d devices: take a multiple of them",
                len(runs),
                used,
                jax.device_count(),
            )
        self._values = sweep.trial_values([run.config for run in runs])
        self._shape = runs[0].dataset.shape
        self.source = parallel.replicate(runs[0].dataset.train, self._mesh)
        self.epoch = functools.cache(self._make_epoch)

    def reading(self, calls: Sequence[Span]) -> contextlib.AbstractContextManager[Source]:
        return contextlib.nullcontext(self.source)

    def initial(self) -> TrainState:
        def one_trial(_: None, values: dict[str, Array], source: Source) -> TrainState:
            config, model, tx = self._trial(values)
            return initial_state(config, model, tx, source)

        init = parallel.map_trials(
            one_trial, chunk=1, mesh=self._mesh, compiler_options=_run_once()
        )
        return init(None, self._values, self.source)

    def split(self, tree: Any) -> list[Any]:
        on_device = isinstance(jax.tree.leaves(tree)[0], jax.Array)
        pick = _one_of if on_device else lambda tree, trial: jax.tree.map(lambda x: x[trial], tree)
        return [pick(tree, trial) for trial in range(self._num_trials)]

    def join(self, states: Sequence[TrainState]) -> TrainState:
        state = jax.jit(lambda states: jax.tree.map(lambda *leaves: jnp.stack(leaves), *states))(
            list(states)
        )
        return (
            state
            if self._mesh is None
            else jax.device_put(state, NamedSharding(self._mesh, P("data")))
        )

    def _make_epoch(self, num_steps: int) -> Epoch:
        def one_trial(
            state: TrainState, values: dict[str, Array], source: Source
        ) -> tuple[TrainState, Metrics]:
            config, model, tx = self._trial(values)
            ema_decay = config.optimizer.ema_decay if state.ema_params is not None else None
            return train.train_epoch(
                *(state, source),
                loss_fn=builders.build_loss(config, model, source.num_examples),
                tx=tx,
                order=data_order(config, source),
                num_steps=num_steps,
                ema_decay=ema_decay,
                post_update=builders.build_post_update(config),
            )

        epoch = parallel.map_trials(one_trial, chunk=self._chunk, mesh=self._mesh)
        return lambda state, source: epoch(state, self._values, source)

    def _trial(
        self, values: dict[str, Array]
    ) -> tuple[Config, nn.Module, optax.GradientTransformation]:
        """The parts of a trial with those values; traced, so that all trials are one program."""
        config = sweep.with_values(self._config, values)
        return config, builders.build_model(config, self._shape), builders.build_optimizer(config)


def make_trainer(runs: Sequence[Run], *, chunk: int = 0) -> Trainer:
    """The trainer of a run alone, or of several; `chunk` as for `SweepTrainer`."""
    if len(runs) > 1:
        return SweepTrainer(runs, chunk=chunk)
    return StreamingTrainer(runs[0]) if runs[0].config.data.streaming else SingleRunTrainer(runs[0])


def initial_state(
    config: Config, model: nn.Module, tx: optax.GradientTransformation, source: Source
) -> TrainState:
    """The state of a run at step 0."""
    key_init, key_example = jax.random.split(jax.random.key(config.seed))
    x = source.take(np.zeros(1, np.int32), key_example)["x"]
    return train.init_state(key_init, model, x, tx, ema=builders.is_on(config.optimizer.ema_decay))


def data_order(config: Config, source: Source) -> Callable[[Array], Array]:
    """Steps [S] -> indices [S, B]: the order in which a run reads its data."""
    return functools.partial(
        order.batch_index,
        num_examples=source.num_examples,
        batch_size=config.train.batch_size,
        seed=config.seed,
    )


def _run_once() -> dict[str, int] | None:
    """Compiler options of a program that isn't worth optimizing: the same bits, on the CPU after a quarter of the time."""
    return {"xla_backend_optimization_level": 1} if jax.default_backend() == "cpu" else None


@jax.jit
def _concatenate(metrics: Sequence[Metrics]) -> Metrics:
    return jax.tree.map(lambda *parts: jnp.concatenate(parts), *metrics)


@jax.jit
def _one_of(tree: Any, trial: Array) -> Any:
    return jax.tree.map(lambda x: x[trial], tree)
