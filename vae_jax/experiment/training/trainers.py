"""Trainers: run several steps per compiled call, for one run or all trials of a sweep."""

import concurrent.futures
import contextlib
import functools
import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

from vae_jax import parallel, train
from vae_jax.config import Config, sweep
from vae_jax.data import Source, order, streaming
from vae_jax.data.streaming import Block, Span
from vae_jax.experiment import builders
from vae_jax.experiment.measurement.ahead import AheadOfTime, describe_shapes
from vae_jax.experiment.run import Run
from vae_jax.models.base import Model
from vae_jax.train import TrainState
from vae_jax.types import Array, Metrics, Params

logger = logging.getLogger(__name__)

Data = Source | Iterator[Block]
Epoch = Callable[[TrainState, Any], tuple[TrainState, Metrics]]


class Trainer(Protocol):
    """Trains one or several runs, whose states are one tree on the devices."""

    def open_data(self, calls: Sequence[Span]) -> contextlib.AbstractContextManager[Data]:
        """Open the training data for epochs of exactly these steps."""

    def initial(self) -> TrainState:
        """Return the state at step 0."""

    def epoch(self, num_steps: int) -> Epoch:
        """(state, data) -> (state, metrics), compiled once per `num_steps`; donates the state."""

    def compile_ahead(self, num_steps: int, pool: concurrent.futures.Executor) -> Params | None:
        """Begin to compile the epoch; returns the shapes of one run's parameters, None if unknown.

        The parameters are for the evaluation.
        """

    def split(self, tree: Any) -> list[Any]:
        """Return the tree of each run, for a state or metrics of all."""

    def join(self, states: Sequence[TrainState]) -> TrainState:
        """Invert `split` and place the state on the devices."""


class SingleRunTrainer:
    """A single run, its batch split over all devices."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self.source = parallel.replicate(run.dataset.train, run.mesh)
        self.epoch = functools.cache(self._make_epoch)

    def open_data(self, calls: Sequence[Span]) -> contextlib.AbstractContextManager[Data]:
        return contextlib.nullcontext(self.source)

    def initial(self) -> TrainState:
        return self.join([self._init(self._example())])

    @functools.cached_property
    def _init(self) -> Any:
        run = self._run
        init = functools.partial(initial_state, run.config, run.model, run.tx)
        return jax.jit(init, compiler_options=_run_once())

    def compile_ahead(self, num_steps: int, pool: concurrent.futures.Executor) -> Params | None:
        state = self._init.eval_shape(self._example())
        state = describe_shapes(state, parallel.replicated(self._run.mesh))
        self.epoch(num_steps).compile_in(pool, state, self.source)
        return state.eval_params

    def split(self, tree: Any) -> list[Any]:
        return [tree]

    def join(self, states: Sequence[TrainState]) -> TrainState:
        return parallel.replicate(states[0], self._run.mesh)

    def _example(self) -> Source:
        return self._run.dataset.train

    def _make_epoch(self, num_steps: int) -> AheadOfTime:
        return AheadOfTime(
            self._compile(num_steps, data_order(self._run.config, self._run.dataset.train))
        )

    def _compile(
        self, num_steps: int, batch_order: Callable[[Array], Array], *, batched: bool = False
    ) -> Epoch:
        run = self._run
        return train.make_train_epoch(
            run.loss_fn,
            run.tx,
            order=batch_order,
            num_steps=num_steps,
            ema_decay=run.config.optimizer.ema_decay or None,
            post_update=run.post_update,
            mesh=run.mesh,
            batched=batched,
        )


class StreamingTrainer(SingleRunTrainer):
    """A single run whose training data stay on the host.

    Blocks of batches are transferred while the devices compute on earlier blocks. A call whose
    batches would take too much memory is split into several blocks. The numbers equal the numbers
    of `SingleRunTrainer`.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._max_steps = run.dataset.train.steps_in_a_block(run.config.train.batch_size)
        self.epoch = functools.cache(self._make_blocks)
        self._block = functools.cache(self._make_block)

    def open_data(self, calls: Sequence[Span]) -> contextlib.AbstractContextManager[Data]:
        run, batch_size = self._run, self._run.config.train.batch_size
        return streaming.stream(
            run.dataset.train,
            [part for call in calls for part in streaming.split_span(call, self._max_steps)],
            batch_size=batch_size,
            seed=run.config.seed,
            rows=parallel.local_rows(batch_size, run.mesh),
            place=functools.partial(parallel.split_batches, mesh=run.mesh),
            workers=run.config.data.workers,
        )

    def _example(self) -> Source:
        return self._run.dataset.train.select(np.zeros(1, np.int64))

    def compile_ahead(self, num_steps: int, pool: concurrent.futures.Executor) -> Params | None:
        return self._init.eval_shape(self._example()).eval_params

    def _make_blocks(self, num_steps: int) -> Epoch:
        lengths = [
            stop - start for start, stop in streaming.split_span((0, num_steps), self._max_steps)
        ]

        def epoch(state: TrainState, blocks: Iterator[Block]) -> tuple[TrainState, Metrics]:
            parts = []
            for length in lengths:
                state, metrics = self._block(length)(state, next(blocks))
                parts.append(metrics)
            return state, parts[0] if len(parts) == 1 else _concatenate(parts)

        return epoch

    def _make_block(self, num_steps: int) -> Epoch:
        # A block is indexed by the number of the step in it.
        return self._compile(num_steps, lambda steps: steps - steps[0], batched=True)


class SweepTrainer:
    """The trials of a sweep, which differ only in scalars, as one program.

    Every array has a leading axis of trials, split over the devices (over a number of them that
    divides the trials). Each runs `chunk` of its trials at a time under `vmap`, each chunk with all
    steps of a call. `chunk` = 0 means one on CPU and all elsewhere.
    """

    def __init__(self, runs: Sequence[Run], *, chunk: int = 0) -> None:
        self._num_trials = len(runs)
        self._config = runs[0].config
        self._shape = runs[0].dataset.shape
        self._units = runs[0].model.units
        self._values = sweep.trial_values([run.config for run in runs])
        self._chunk = chunk or (1 if jax.default_backend() == "cpu" else len(runs))
        self._mesh = parallel.trials_mesh(len(runs))
        self._check_devices()
        self.source = parallel.replicate(runs[0].dataset.train, self._mesh)
        self.epoch = functools.cache(self._make_epoch)

    def _check_devices(self) -> None:
        num_used = 1 if self._mesh is None else self._mesh.size
        if num_used < min(self._num_trials, jax.device_count()):
            logger.warning(
                "%d trials run on %d of %d devices: use a multiple of the number of devices",
                self._num_trials,
                num_used,
                jax.device_count(),
            )

    def open_data(self, calls: Sequence[Span]) -> contextlib.AbstractContextManager[Data]:
        return contextlib.nullcontext(self.source)

    def initial(self) -> TrainState:
        def init_trial(_: None, values: dict[str, Array], source: Source) -> TrainState:
            config, model, tx = self._build_trial(values)
            return initial_state(config, model, tx, source)

        init = parallel.map_trials(
            init_trial, chunk=1, mesh=self._mesh, compiler_options=_run_once()
        )
        return init(None, self._values, self.source)

    def compile_ahead(self, num_steps: int, pool: concurrent.futures.Executor) -> Params | None:
        return None

    def split(self, tree: Any) -> list[Any]:
        on_device = isinstance(jax.tree.leaves(tree)[0], jax.Array)
        select = _select_trial_on_device if on_device else _select_trial
        return [select(tree, trial) for trial in range(self._num_trials)]

    def join(self, states: Sequence[TrainState]) -> TrainState:
        state = _stack(list(states))
        if self._mesh is None:
            return state
        return jax.device_put(state, NamedSharding(self._mesh, P("data")))

    def _make_epoch(self, num_steps: int) -> Epoch:
        def train_trial(
            state: TrainState, values: dict[str, Array], source: Source
        ) -> tuple[TrainState, Metrics]:
            config, model, tx = self._build_trial(values)
            return train.train_epoch(
                state,
                source,
                loss_fn=builders.build_loss(config, model, source.num_examples),
                tx=tx,
                order=data_order(config, source),
                num_steps=num_steps,
                ema_decay=None if state.ema_params is None else config.optimizer.ema_decay,
                post_update=builders.build_post_update(config),
            )

        epoch = parallel.map_trials(train_trial, chunk=self._chunk, mesh=self._mesh)
        return lambda state, source: epoch(state, self._values, source)

    def _build_trial(
        self, values: dict[str, Array]
    ) -> tuple[Config, Model, optax.GradientTransformation]:
        """Build the parts of a trial from traced values, so that all trials are one program."""
        config = sweep.with_values(self._config, values)
        model = builders.build_model(config, self._shape, self._units)
        return config, model, builders.build_optimizer(config)


def make_trainer(runs: Sequence[Run], *, chunk: int = 0) -> Trainer:
    """Return the trainer of one or several runs; `chunk` as for `SweepTrainer`."""
    if len(runs) > 1:
        return SweepTrainer(runs, chunk=chunk)
    return StreamingTrainer(runs[0]) if runs[0].config.data.streaming else SingleRunTrainer(runs[0])


def initial_state(
    config: Config, model: Model, tx: optax.GradientTransformation, source: Source
) -> TrainState:
    """Return the state of a run at step 0."""
    key_init, key_example = jax.random.split(jax.random.key(config.seed))
    x = source.take(np.zeros(1, np.int32), key_example)["x"]
    return train.init_state(key_init, model, x, tx, ema=builders.is_on(config.optimizer.ema_decay))


def data_order(config: Config, source: Source) -> Callable[[Array], Array]:
    """Return the order in which a run reads its data: steps [S] -> indices [S, B]."""
    options = {"batch_size": config.train.batch_size, "seed": config.seed}
    if config.train.order == "by_length":
        lengths = source.observed.sum(-1)
        return functools.partial(order.batch_index_by_length, lengths=lengths, **options)
    return functools.partial(order.batch_index, num_examples=source.num_examples, **options)


def _run_once() -> dict[str, int] | None:
    """Return compiler options for a program that runs once: same bits, a quarter of the time."""
    return {"xla_backend_optimization_level": 1} if jax.default_backend() == "cpu" else None


@jax.jit
def _concatenate(parts: Sequence[Metrics]) -> Metrics:
    return jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *parts)


@jax.jit
def _stack(states: Sequence[TrainState]) -> TrainState:
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *states)


def _select_trial(tree: Any, trial: Array | int) -> Any:
    return jax.tree.map(lambda x: x[trial], tree)


_select_trial_on_device = jax.jit(_select_trial)
