"""A run: what a config was built into."""

import dataclasses
import os
import pathlib

import jax
import optax

from vae_jax import build, checks, parallel, sweep
from vae_jax.config import Config
from vae_jax.data import Dataset
from vae_jax.models import VAE
from vae_jax.types import LossFn
from vae_jax.workdir import lane_workdir


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


def make_run(config: Config, workdir: str | os.PathLike, dataset: Dataset | None = None) -> Run:
    """Checks the config and builds every part of it; InputError before a model is compiled or anything written.

    `dataset` is what the config's data were built into before, as for an earlier lane of a sweep.
    """
    build.check_names(config)
    checks.check(config)
    tx = build.build_optimizer(config)
    dataset = build.build_data(config) if dataset is None else dataset
    model = build.build_model(config, dataset.shape)
    return Run(config, pathlib.Path(workdir), dataset, model, build.build_loss(config, model), tx, parallel.data_mesh())


def make_runs(config: Config, workdir: str | os.PathLike) -> list[Run]:
    """The one run of a config, or a run for each lane of its sweep, in `<workdir>/lanes/<lane name>`."""
    lanes = sweep.lane_configs(config)
    if not lanes:
        return [make_run(config, workdir)]
    runs: list[Run] = []
    for name, lane in lanes.items():
        runs.append(make_run(lane, lane_workdir(workdir, name), runs[0].dataset if runs else None))
    return runs
