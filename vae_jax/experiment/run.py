"""A run: what a config was built into."""

import dataclasses
import math
import os
import pathlib
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import optax
from flax import linen as nn

from vae_jax import config as config_lib
from vae_jax import memory, parallel
from vae_jax.config import Config, sweep, validation
from vae_jax.data import Dataset
from vae_jax.errors import InputError
from vae_jax.experiment import builders, metrics
from vae_jax.experiment.storage.workdir import trial_workdir
from vae_jax.types import LossFn, PostUpdate


@dataclasses.dataclass(frozen=True, eq=False)
class Run:
    """What a config was built into. Nothing here is compiled yet."""

    config: Config
    workdir: pathlib.Path
    dataset: Dataset
    model: nn.Module
    loss_fn: LossFn
    tx: optax.GradientTransformation
    post_update: PostUpdate | None
    mesh: jax.sharding.Mesh | None


def make_run(config: Config, workdir: str | os.PathLike, dataset: Dataset | None = None) -> Run:
    """Checks the config and builds every part of it; InputError before a model is compiled or anything written.

    `dataset` is what the config's data were built into before, as for an earlier trial of a sweep.
    """
    builders.check_names(config)
    validation.check(config)
    builders.check_fits(config)
    tx = builders.build_optimizer(config)
    dataset = builders.build_data(config) if dataset is None else dataset
    metrics.check_metrics(config, dataset)
    model = builders.build_model(config, dataset.shape)
    loss_fn, post_update = (
        builders.build_loss(config, model, dataset.train.num_examples),
        builders.build_post_update(config),
    )
    return Run(
        config,
        pathlib.Path(workdir),
        dataset,
        model,
        loss_fn,
        tx,
        post_update,
        parallel.data_mesh(),
    )


def make_runs(config: Config, workdir: str | os.PathLike) -> list[Run]:
    """The one run of a config, or a run for each trial of its sweep, in `<workdir>/trials/<trial name>`."""
    trials = sweep.trial_configs(config)
    metrics.check_seeds(config)
    if trials and jax.process_count() > 1:
        raise InputError(
            f"config.sweep: {jax.process_count()} processes can't share one; give each process trials of its own"
        )
    if trials and config.data.streaming:
        raise InputError(
            "config.data.streaming = True: a sweep reads data in memory only; run its trials one by one"
        )
    runs: list[Run] = [] if trials else [make_run(config, workdir)]
    for name, trial in trials.items():
        try:
            runs.append(
                make_run(trial, trial_workdir(workdir, name), runs[0].dataset if runs else None)
            )
        except InputError as error:
            raise InputError(f"config.sweep, trial {name}: {error}") from error
    _check_fits(runs)
    return runs


def _check_fits(runs: Sequence[Run]) -> None:
    """InputError when a device can't hold what the runs have there at once; what is counted is less than what they take."""
    config, shape, devices = runs[0].config, runs[0].dataset.shape, jax.device_count()
    train, evaluation, objective = config.train, config.evaluation, config.objective
    key, x = jax.random.key(0), jax.ShapeDtypeStruct((1, *shape), jnp.float32)
    params = sum(
        math.prod(leaf.shape)
        for leaf in jax.tree.leaves(jax.eval_shape(runs[0].model.init, key, x, key))
    )
    one_draw = (math.prod(shape) + config.model.latent_dim) / devices  # z and the mean of x
    num_steps = (
        0 if config.data.streaming else min(train.log_every, train.eval_every, train.num_steps)
    )
    available = memory.device_memory()
    for what, entries, fields in (
        (
            "the parameters, with two moments each",
            3 * params * -(-len(runs) // devices),
            ("hidden", "channels", "latent_dim"),
        ),
        (
            "a batch",
            train.batch_size * objective.num_samples * one_draw,
            ("train.batch_size", "objective.num_samples"),
        ),
        (
            "the order of the data in one call",
            num_steps * train.batch_size / devices,
            ("train.log_every", "train.batch_size"),
        ),
        (
            "a batch of the evaluation",
            evaluation.batch_size * evaluation.num_samples * one_draw,
            ("evaluation.batch_size", "evaluation.num_samples"),
        ),
    ):
        if 4 * entries > available:
            names = [field if "." in field else f"model.{field}" for field in fields]
            given = ", ".join(
                f"config.{name} = {config_lib.value_of(config, name)!r}" for name in names
            )
            raise InputError(
                f"{given}: too large; {what} would take {memory.in_gigabytes(4 * entries)}, and a device has "
                f"{memory.in_gigabytes(available)}"
            )
