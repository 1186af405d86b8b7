"""Training from arrays, a data frame or texts in one call, by the loop of the command line."""

import contextlib
import copy
import dataclasses
import logging
import numbers
import os
import tempfile
from collections.abc import Iterator, Mapping
from typing import Any

import jax
import numpy as np
from flax import linen as nn

from vae_jax import config as config_lib
from vae_jax.config import Config, sweep
from vae_jax.config.tree import as_tuple
from vae_jax.data.examples import Examples
from vae_jax.errors import (
    InputError,
    Interrupted,
    RunDiverged,
    format_value,
    prefix_arguments,
)
from vae_jax.evaluation.progress import hide_progress
from vae_jax.experiment import builders
from vae_jax.experiment.hand_made import check_model, describe_model
from vae_jax.experiment.jax_settings import run_settings
from vae_jax.experiment.launch.config_files import read_config
from vae_jax.experiment.load import load_selected
from vae_jax.experiment.run import Run, check_memory, log_choices, make_run
from vae_jax.experiment.storage.checkpoint import Checkpoints
from vae_jax.experiment.storage.workdir import claim_workdir
from vae_jax.experiment.training.loop import check_batch, train_to_end
from vae_jax.experiment.training.recorder import LOWEST
from vae_jax.experiment.training.trainers import make_trainer
from vae_jax.experiment.validation import validate
from vae_jax.files import Path, as_path
from vae_jax.models.trained import TrainedModel

logger = logging.getLogger(__name__)

MODEL_GROUPS = ("model.", "codes.", "hierarchy.")
SOURCES = ("name", "dir", "path", "split_path", "image_size", "streaming", "workers")
LABELED = ("semi_supervised",)  # objectives that read y whatever the model is
HIDDEN = ("hide", "hide_seed")  # for the metric imputation, which is not measured


@run_settings()
def fit(
    x: Any,
    config: str | os.PathLike | Config | nn.Module = "vae",
    overrides: Mapping[str, Any] | None = None,
    *,
    y: Any = None,
    valid: Any = None,
    seed: int | None = None,
    workdir: str | os.PathLike | None = None,
    verbose: bool = False,
) -> TrainedModel:
    """Train a model on examples in memory; see `vae_jax.fit`."""
    share = valid if isinstance(valid, numbers.Real) else None
    with prefix_arguments("config.data"):
        examples = Examples.of(x, y, None if share is not None else valid)
    module = config if isinstance(config, nn.Module) else None
    if module is None:
        settings = _override(_base_config(config, examples.form), overrides or {})
    else:
        _check_no_workdir(workdir)
        settings = describe_model(module)
        settings.data.name = examples.form
        settings = _override(settings, overrides or {}, fixed=MODEL_GROUPS)
    settings.seed = settings.seed if seed is None else _plain(seed)
    if share is not None:
        settings.data.valid_fraction = float(share)
    _check_single(settings, workdir)
    validate(settings)
    dataset = builders.build_examples(settings, examples)
    if module is not None:
        check_model(module, dataset)
    with contextlib.ExitStack() as stack:
        stack.enter_context(_show_log() if verbose else hide_progress())
        folder = stack.enter_context(_open_workdir(workdir))
        run = make_run(settings, folder, dataset, model=module)
        run = dataclasses.replace(run, is_temporary=workdir is None)
        if y is not None:
            _check_labels_are_used(run)
        log_choices(settings, run)
        stack.enter_context(_explain_interrupt(run))
        trained = _train(run)
    return trained if module is None else dataclasses.replace(trained, config=None)


def _train(run: Run) -> TrainedModel:
    """Train a run, or resume it, and load its measured checkpoint.

    Raises:
      RunDiverged: the validation of that checkpoint is not finite.
    """
    check_memory([run])
    check_batch([run])
    with claim_workdir(run.workdir, run.config):
        (best,) = train_to_end([run], make_trainer([run]))
        if isinstance(best, InputError):
            raise best
        if best.selection.score is not None and best.selection.score <= LOWEST:
            raise RunDiverged(
                f"{run.label}: the validation of step {best.selection.step} is not finite, so the "
                "run diverged; lower optimizer.learning_rate, or set optimizer.clip_norm"
            )
        with Checkpoints(run.workdir, for_writing=False) as checkpoints:
            return load_selected(checkpoints, best.selection, run.model)


def _base_config(config: Any, form: str) -> Config:
    """A copy of the config, for data in memory of a form, without the metrics of an evaluation.

    What the evaluation has a part in choosing a checkpoint stays: its seed and its batch size.
    """
    if isinstance(config, str | os.PathLike):
        config = read_config(os.fspath(config), form)
    if not isinstance(config, Config):
        raise InputError(
            f"config = {format_value(config, 60)}: must be the name of a config, a "
            "vae_jax.config.Config, or a model such as vae_jax.VAE(...)"
        )
    config = copy.deepcopy(config)
    for name in (*SOURCES, *HIDDEN):
        setattr(config.data, name, getattr(config_lib.Data(), name))
    config.data.name = form
    kept = {name: getattr(config.evaluation, name) for name in ("seed", "batch_size")}
    config.evaluation = config_lib.Evaluation(**kept)
    return config


def _override(config: Config, overrides: Any, fixed: tuple[str, ...] = ()) -> Config:
    """The config with other values of fields, by dotted path; changes it in place."""
    if not isinstance(overrides, Mapping):
        raise InputError(
            f"overrides = {format_value(overrides, 60)}: must be a mapping of fields to values, "
            "such as {'train.num_steps': 500}"
        )
    for path, value in overrides.items():
        path = str(path).removeprefix("config.")
        config_lib.check_field(path)
        group, _, name = path.rpartition(".")
        if group == "data" and name in SOURCES:
            raise InputError(f"overrides: config.{path} names other data than x; omit it")
        if path.startswith(fixed):
            raise InputError(f"overrides: config.{path} is of a model that was given; omit it")
        if dataclasses.is_dataclass(config_lib.value_of(config, path)):
            raise InputError(f"overrides: config.{path} is a group; give its fields, one by one")
        parent = config_lib.value_of(config, group) if group else config
        setattr(parent, name, _plain(as_tuple(value)))
    return config


def _check_labels_are_used(run: Run) -> None:
    """Warn if neither the model nor the objective reads the labels."""
    if run.model.conditioning is None and run.config.objective.name not in LABELED:
        logger.warning(
            "y is not used by this model: set model.conditioning = 'label', or use a config such "
            "as cvae"
        )


def _plain(value: Any) -> Any:
    """The number of Python for a scalar of numpy, also in a tuple."""
    if isinstance(value, tuple):
        return tuple(map(_plain, value))
    return value.item() if isinstance(value, np.generic) else value


def _check_no_workdir(workdir: str | os.PathLike | None) -> None:
    if workdir is not None:
        raise InputError(
            f"workdir = {os.fspath(workdir)!r}: a run builds its model from a config, and this "
            "model is composed by hand; omit workdir, and keep the result by vae_jax.save"
        )


def _check_single(config: Config, workdir: str | os.PathLike | None) -> None:
    if sweep.sweep_lists(config):
        raise InputError("config.sweep: fit trains one model; call it once for each value")
    if workdir is None and jax.process_count() > 1:
        raise InputError(
            f"workdir = None: {jax.process_count()} processes need a directory that they share"
        )


@contextlib.contextmanager
def _open_workdir(workdir: str | os.PathLike | None) -> Iterator[Path]:
    """The workdir, or a temporary folder that is removed."""
    if workdir is not None:
        yield as_path(os.path.expanduser(workdir))
        return
    with tempfile.TemporaryDirectory(prefix="vae_jax_fit_") as folder:
        yield as_path(folder)


@contextlib.contextmanager
def _explain_interrupt(run: Run) -> Iterator[None]:
    """Raise Interrupted with what remains of the run, which a command does not resume."""
    try:
        yield
    except Interrupted as error:
        if run.is_temporary:
            text = "interrupted; nothing is kept without a workdir"
        else:
            text = f"interrupted; the same call resumes from {run.workdir}"
        raise Interrupted(text, error.status) from error


@contextlib.contextmanager
def _show_log() -> Iterator[None]:
    """Show the package's messages on stderr, unless they are shown anyway."""
    package = logging.getLogger("vae_jax")
    if package.isEnabledFor(logging.INFO):
        yield
        return
    handler, level, propagate = logging.StreamHandler(), package.level, package.propagate
    handler.setFormatter(logging.Formatter("%(message)s"))
    package.addHandler(handler)
    package.setLevel(logging.INFO)
    package.propagate = False
    try:
        yield
    finally:
        package.removeHandler(handler)
        package.setLevel(level)
        package.propagate = propagate
