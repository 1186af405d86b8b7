"""Overrides of a run's config in an evaluation, and the command that evaluates the run."""

import copy
import dataclasses
import os
import shlex

from vae_jax import config as config_lib
from vae_jax.config import Config
from vae_jax.errors import InputError
from vae_jax.files import as_path

# Fields that an evaluation can change, in addition to `evaluation`.
OTHER_FIELDS = (
    "data.dir",
    "data.path",
    "data.schema",
    "data.split_path",
    "data.streaming",
    "data.workers",
    "train.select",
)
OTHER_FIELDS += ("sweep.chunk",)


def apply_override(override: Config | None, saved: Config, workdir: str | os.PathLike) -> Config:
    """Return the config of an evaluation: the override if any, else the saved one.

    Saved fields of metrics that the override does not request have their defaults.

    Raises:
      InputError: the override changes more than an evaluation can, or the data are not there.
    """
    if override is not None:
        _check_evaluation_only(override, saved, workdir)
        override = _reset_unused(override, saved)
    config = override or saved
    _check_data_path(config)
    return config


def _reset_unused(override: Config, saved: Config) -> Config:
    """Return the override with the defaults of what only other metrics of the run use."""
    result = copy.deepcopy(override)
    for field in dataclasses.fields(saved.evaluation):
        used_by, value = field.metadata["used_by"], getattr(saved.evaluation, field.name)
        is_inherited = getattr(override.evaluation, field.name) == value
        if used_by and is_inherited and used_by.holds(saved) and not used_by.holds(override):
            setattr(result.evaluation, field.name, field.default)
    return result


def _check_evaluation_only(override: Config, saved: Config, where: str | os.PathLike) -> None:
    """Raises InputError, with all of them, if fields differ that an evaluation cannot change."""
    lines = config_lib.differences(override, saved, _evaluation_fields(saved))
    if lines:
        fields = ", ".join(("evaluation.*", *OTHER_FIELDS))
        raise InputError(
            f"workdir = {os.fspath(where)!r}: holds a run of another config; an evaluation uses "
            f"that of the run, and can only change {fields}. Leave out --config and these:\n  "
            + "\n  ".join(lines)
        )


def _evaluation_fields(saved: Config) -> list[str]:
    """The fields that an evaluation can change."""
    names = ("evaluation.", *OTHER_FIELDS)
    return [field for field in config_lib.flatten(saved) if field.startswith(names)]


def _check_data_path(config: Config) -> None:
    """Raises InputError if the data file of a run has moved."""
    path = config.data.path
    if config.data.name in ("npz", "table", "text") and path and not as_path(path).exists():
        raise InputError(
            f"config.data.path = {path!r}: no such file or folder from here; if the data of the "
            "run have moved, give --config.data.path=PATH"
        )


def check_same_run(config: Config, saved: Config, where: str | os.PathLike) -> None:
    """Raises InputError if two configs differ in more than the evaluation of a run."""
    free = _evaluation_fields(saved)
    config_lib.check_same(config, saved, f"workdir = {os.fspath(where)!r}", free)


def advise_evaluation(workdir: str | os.PathLike, *, is_training: bool) -> str:
    """Instructions after Ctrl-C during an evaluation."""
    if not is_training:
        return (
            "interrupted while evaluating or plotting; metrics that were measured are saved, and "
            "the same command starts again"
        )
    return (
        "interrupted while evaluating or plotting; the training is complete and saved, and this "
        "evaluates it: python -m vae_jax.main --mode=eval "
        f"--workdir={shlex.quote(os.fspath(workdir))}"
    )
