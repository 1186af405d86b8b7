"""A run: what a config was built into, and the directory that it is kept in."""

import dataclasses
import json
import os
import pathlib

import jax
import optax

from vae_jax import build, parallel
from vae_jax import config as config_lib
from vae_jax.config import Config
from vae_jax.data import Dataset
from vae_jax.errors import InputError
from vae_jax.models import VAE
from vae_jax.records import write_json
from vae_jax.types import LossFn

LEFT_BEHIND = ("checkpoints", "figures", "metrics.jsonl", "results.json", "tensorboard")


@dataclasses.dataclass(frozen=True, eq=False)
class Run:
    """What a config was built into. Nothing here is compiled yet."""

    config: Config
    workdir: pathlib.Path
    dataset: Dataset
    model: VAE
    loss_fn: LossFn
    tx: optax.GradientTransformation
    mesh: jax.sharding.Mesh | None


def make_run(config: Config, workdir: str | os.PathLike) -> Run:
    """Checks the config and builds every part of it; InputError before a model is compiled or anything written."""
    build.check_names(config)
    config_lib.check(config)
    tx = build.build_optimizer(config)
    dataset = build.build_data(config)
    model = build.build_model(config, dataset.shape)
    return Run(config, pathlib.Path(workdir), dataset, model, build.build_loss(config, model), tx, parallel.data_mesh())


def claim_workdir(workdir: pathlib.Path, config: Config) -> None:
    """Makes the workdir and writes `config.json`.

    Raises:
      InputError: it can't be written, holds a run of another config, or files of a run without its config.
    """
    where = f"workdir = {os.fspath(workdir)!r}"
    if (workdir / "config.json").exists():
        config_lib.check_same(config, read_config(workdir), where)
    found = sorted(name for name in LEFT_BEHIND if (workdir / name).exists())
    if found and not (workdir / "config.json").exists():
        raise InputError(f"{where}: holds {', '.join(found)} but no config.json, so not a run to go on with; take another")
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        write_json(workdir / "config.json", dataclasses.asdict(config))
    except OSError as error:
        raise InputError(f"{where}: cannot be written ({error.strerror or error})") from error


def read_config(workdir: pathlib.Path) -> Config:
    """The config that a run saved; InputError where there is none."""
    path = workdir / "config.json"
    try:
        return config_lib.from_dict(json.loads(path.read_text()))
    except (OSError, ValueError) as error:
        raise InputError(f"workdir = {os.fspath(workdir)!r}: no run there, {path} cannot be read ({error})") from error
