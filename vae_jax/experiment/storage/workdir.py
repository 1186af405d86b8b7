"""The directory that a run, or a sweep, is kept in."""

import contextlib
import dataclasses
import json
import os
import pathlib
from collections.abc import Iterator

from vae_jax import config as config_lib
from vae_jax.config import Config, sweep
from vae_jax.errors import InputError, check_choice
from vae_jax.experiment.storage.lock import lock_directory
from vae_jax.files import write_json

LEFT_BEHIND = ("checkpoints", "figures", "trials", "metrics.jsonl", "results.json", "tensorboard")


@contextlib.contextmanager
def claim_workdir(workdir: pathlib.Path, config: Config) -> Iterator[None]:
    """Makes the workdir, keeps other processes out while the context lasts, and writes `config.json`.

    Raises:
      InputError: it can't be written, holds a run of another config, or files of a run without its config, or a process
        is at work there.
    """
    with contextlib.ExitStack() as stack:
        _check_usable(workdir, config)
        try:
            workdir.mkdir(parents=True, exist_ok=True)
            stack.enter_context(lock_directory(workdir))
            _check_usable(
                workdir, config
            )  # again: a process that has just ended may have been the first here
            for left in (*workdir.glob(".config.json.*"), *workdir.glob(".metrics.jsonl.*")):
                left.unlink(missing_ok=True)  # of a process that was killed while it wrote
            write_json(workdir / "config.json", dataclasses.asdict(config))
        except OSError as error:
            where = f"workdir = {os.fspath(workdir)!r}"
            raise InputError(f"{where}: cannot be written ({error.strerror or error})") from error
        yield


def _check_usable(workdir: pathlib.Path, config: Config) -> None:
    where = f"workdir = {os.fspath(workdir)!r}"
    if (workdir / "config.json").exists():
        config_lib.check_same(
            config, read_config(workdir), where, ["sweep.chunk"]
        )  # a matter of memory, not of numbers
    found = sorted(name for name in LEFT_BEHIND if (workdir / name).exists())
    if found and not (workdir / "config.json").exists():
        raise InputError(
            f"{where}: holds {', '.join(found)} but no config.json, so not a run to go on with; take another"
        )


def read_config(workdir: pathlib.Path) -> Config:
    """The config that a run saved; InputError where there is none."""
    path = workdir / "config.json"
    try:
        if path.exists() and not path.is_file():
            raise OSError("not a regular file")
        return config_lib.from_dict(json.loads(path.read_text()))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(
            f"workdir = {os.fspath(workdir)!r}: no run there, {path} cannot be read ({error})"
        ) from error


def trial_workdir(workdir: str | os.PathLike, name: str) -> pathlib.Path:
    """Where a trial keeps what a run alone keeps in its workdir."""
    return pathlib.Path(workdir) / "trials" / name


def run_workdir(workdir: str | os.PathLike, trial: int | str | None) -> pathlib.Path:
    """The workdir of the run itself: of a sweep, that of a trial by name or number; InputError where there is none such."""
    where = f"workdir = {os.fspath(workdir)!r}"
    workdir = pathlib.Path(workdir)
    if not (workdir / "trials").is_dir():
        if trial is not None:
            raise InputError(f"trial = {trial!r}: {where} holds no sweep; leave it out")
        return workdir
    names = list(sweep.trial_configs(read_config(workdir)))
    if trial is None:
        raise InputError(
            f"trial = None: {where} holds a sweep; give one of {', '.join(names)}, or its number"
        )
    if isinstance(trial, int) and not 0 <= trial < len(names):
        raise InputError(f"trial = {trial}: must be from 0 to {len(names) - 1}")
    return trial_workdir(
        workdir, names[trial] if isinstance(trial, int) else check_choice("trial", trial, names)
    )
