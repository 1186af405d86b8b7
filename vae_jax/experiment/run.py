"""A run: the objects built from a config."""

import dataclasses
import logging
import math
import os
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import optax

from vae_jax import memory, parallel
from vae_jax.config import Config, differences, sweep, value_of
from vae_jax.data import Dataset
from vae_jax.data.tables.description import describe_table
from vae_jax.errors import InputError
from vae_jax.experiment import builders
from vae_jax.experiment.storage.workdir import read_config, trial_workdir
from vae_jax.experiment.validation import validate, validate_sweep
from vae_jax.files import Path, as_path
from vae_jax.models.base import Model
from vae_jax.types import LossFn, PostUpdate

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, eq=False)
class Run:
    """The objects built from a config. Nothing here is compiled yet."""

    config: Config
    workdir: Path
    dataset: Dataset
    model: Model
    loss_fn: LossFn
    tx: optax.GradientTransformation
    post_update: PostUpdate | None
    mesh: jax.sharding.Mesh | None
    is_temporary: bool = False  # True if nobody reads the workdir after the training

    @property
    def label(self) -> str:
        """The name of the run in messages: its workdir, unless that is temporary."""
        return self.config.name if self.is_temporary else os.fspath(self.workdir)


def make_run(
    config: Config,
    workdir: str | os.PathLike,
    dataset: Dataset | None = None,
    *,
    model: Model | None = None,
    check_data: bool = True,
) -> Run:
    """Validate the config, choose what is 'auto' in it by the data, and build every part of it.

    Args:
      config: the config of one run; its sweep is ignored.
      workdir: the folder of the run.
      dataset: the data of the config, if built before.
      model: a model that was composed by hand, in place of that of the config.
      check_data: False if an earlier trial of a sweep was validated with these data.

    Raises:
      InputError: the config is invalid. Nothing was compiled or written.
    """
    validate(config)
    tx = builders.build_optimizer(config)
    if dataset is None:
        dataset = builders.build_data(config)
    config = builders.resolve(config, dataset.shape, dataset.preparation)
    validate(config, dataset if check_data else None)
    if model is None:
        units = builders.build_units(config, dataset)
        model = builders.build_model(config, dataset.shape, units)
    return Run(
        config=config,
        workdir=as_path(workdir),
        dataset=dataset,
        model=model,
        loss_fn=builders.build_loss(config, model, dataset.train.num_examples),
        tx=tx,
        post_update=builders.build_post_update(config),
        mesh=parallel.data_mesh(),
    )


def make_runs(config: Config, workdir: str | os.PathLike) -> list[Run]:
    """Make the run of a config, or one per trial of its sweep, in `<workdir>/trials/<trial>`."""
    trials = sweep.trial_configs(config)
    validate_sweep(config)
    runs: list[Run] = [] if trials else [make_run(config, workdir)]
    for name, trial in trials.items():
        dataset = runs[0].dataset if runs else None
        where = trial_workdir(workdir, name)
        try:
            runs.append(make_run(trial, where, dataset, check_data=not runs))
        except InputError as error:
            raise InputError(f"config.sweep, trial {name}: {error}") from error
    check_memory(runs)
    return runs


def resolve_like(config: Config, run: Run) -> Config:
    """A config, of a run or a sweep, with 'auto' replaced by choices from the data of a run."""
    return builders.resolve(config, run.dataset.shape, run.dataset.preparation)


def prepare_runs(config: Config, workdir: str | os.PathLike) -> tuple[list[Run], Config]:
    """Make the runs of a config, log what was chosen by the data, and return the config with it."""
    runs = make_runs(config, workdir)
    log_choices(config, runs[0])
    resolved = resolve_like(config, runs[0])
    _check_choices(config, resolved, runs[0].dataset.name, as_path(workdir))
    return runs, resolved


def log_choices(config: Config, run: Run) -> None:
    """Log the kinds of the columns of a table, and what was chosen by the data for a config.

    Warns about widths of the model that do nothing.
    """
    if run.dataset.table is not None:
        logger.info("%s\nconfig.data.schema overrides the kinds", describe_table(run.dataset))
    choices = explain_choices(config, run)
    if choices:
        logger.info("%s: %s", config.name, choices)
    for line in builders.find_unused_widths(run.config):
        logger.warning("%s: %s", config.name, line)


def _check_choices(config: Config, resolved: Config, name: str, workdir: Path) -> None:
    """Raises InputError if the run in a workdir has this config, with other choices by its data."""
    try:
        saved = read_config(workdir)
    except InputError:
        return  # no run there, or one that is refused later
    if not differences(config, saved) and (lines := differences(resolved, saved)):
        raise InputError(
            f"workdir = {os.fspath(workdir)!r}: was trained on other data than {name} holds now: "
            "what is chosen by the data differs. Put the data back, or use another workdir:\n  "
            + "\n  ".join(lines)
        )


def explain_choices(config: Config, run: Run) -> str:
    """One line about what was chosen by the data for a config, and why; '' if nothing was."""
    shape = run.dataset.shape
    parts = (
        builders.describe_choices(config, shape, run.dataset.preparation),
        builders.describe_units(run.model.units, shape),
    )
    text = "; ".join(part for part in parts if part)
    return f"chosen by the data: {text}" if text else ""


def check_memory(runs: Sequence[Run]) -> None:
    """Raises InputError if one of the largest arrays of the runs exceeds the memory of a device."""
    config = runs[0].config
    shape = runs[0].dataset.shape
    train = config.train
    evaluation = config.evaluation
    num_devices = jax.device_count()
    num_samples = config.objective.num_samples
    key = jax.random.key(0)
    x = jax.ShapeDtypeStruct((1, *shape), jnp.float32)
    params = jax.eval_shape(runs[0].model.init, key, x, key)
    num_params = sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(params))
    sample_size = (math.prod(shape) + config.model.latent_dim) / num_devices  # z and the mean of x
    num_steps = min(train.log_every, train.validate_every, train.num_steps)
    if config.data.streaming:
        num_steps = 0
    available = memory.device_memory()
    for name, size, paths in (
        (
            "the parameters, with two moments each,",
            3 * num_params * -(-len(runs) // num_devices),
            ("model.hidden", "model.channels", "model.latent_dim"),
        ),
        (
            "a batch",
            train.batch_size * num_samples * sample_size,
            ("train.batch_size", "objective.num_samples"),
        ),
        (
            "the order of the data in one call",
            num_steps * train.batch_size / num_devices,
            ("train.log_every", "train.batch_size"),
        ),
        (
            "a batch of the evaluation",
            evaluation.batch_size * sample_size,
            ("evaluation.batch_size",),
        ),
    ):
        num_bytes = 4 * size
        if num_bytes > available:
            fields = ", ".join(f"config.{path} = {value_of(config, path)!r}" for path in paths)
            raise InputError(
                f"{fields}: too large; {name} would take {memory.in_gigabytes(num_bytes)}, and a "
                f"device has {memory.in_gigabytes(available)}"
            )
