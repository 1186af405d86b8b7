"""The directory of a run or a sweep."""

import contextlib
import dataclasses
import json
import os
import textwrap
from collections.abc import Iterator

from vae_jax import config as config_lib
from vae_jax.config import Config, sweep
from vae_jax.errors import InputError, check_choice
from vae_jax.experiment.storage.lock import WAIT, lock_directory
from vae_jax.files import Path, as_path, is_local, write_json

RUN_FILES = ("checkpoints", "figures", "trials", "metrics.jsonl", "results.json", "tensorboard")
RUN_FILES += ("training.json",)


@contextlib.contextmanager
def claim_workdir(workdir: Path, config: Config, *, wait: float = WAIT) -> Iterator[None]:
    """Make the workdir, write `config.json`, and keep other runs out while the context lasts.

    Args:
      workdir: the directory.
      config: config of the run or the sweep.
      wait: seconds until a lock of another process is an error.

    Raises:
      InputError: the workdir cannot be written, is in use, or holds a run of another config or
        files of a run without its config.
    """
    with contextlib.ExitStack() as stack:
        try:
            check_usable(workdir, config)
            workdir.mkdir(parents=True, exist_ok=True)
            stack.enter_context(lock_directory(workdir, wait=wait))
            check_usable(workdir, config)  # again: another run may have claimed it
            if is_local(workdir):
                _delete_temporaries(workdir)
            write_json(workdir / "config.json", dataclasses.asdict(config))
        except InputError:
            raise
        except OSError as error:
            raise InputError(
                f"{_name(workdir)}: cannot be written ({error.strerror or error})"
            ) from error
        except Exception as error:
            if is_local(workdir):
                raise
            raise _unusable_bucket(workdir, error) from error
        yield


def _delete_temporaries(workdir: Path) -> None:
    """Delete what a killed process left."""
    for name in ("config.json", "metrics.jsonl", "training.json"):
        for temporary in workdir.glob(f".{name}.*"):
            temporary.unlink(missing_ok=True)


def _unusable_bucket(workdir: Path, error: Exception) -> InputError:
    """The error for any error of a bucket: no such bucket, no permission, no network."""
    reason = textwrap.shorten(f"{type(error).__name__}: {error}", 300)
    return InputError(f"{_name(workdir)}: the bucket cannot be used ({reason})")


def check_usable(workdir: Path, config: Config) -> None:
    """Raises InputError if the workdir can't hold a run of this config; nothing is written."""
    folders = (workdir, *workdir.parents) if is_local(workdir) else ()  # buckets have no folders
    if any(folder.exists() and not folder.is_dir() for folder in folders):
        raise InputError(f"{_name(workdir)}: cannot be written (Not a directory)")
    if (workdir / "config.json").exists():
        # The chunk is a matter of memory, not of numbers.
        config_lib.check_same(config, read_config(workdir), _name(workdir), ["sweep.chunk"])
        return
    names = sorted(name for name in RUN_FILES if (workdir / name).exists())
    if names:
        raise InputError(
            f"{_name(workdir)}: holds {', '.join(names)} but no config.json, "
            "so there is no run to resume; use another workdir"
        )


def _name(workdir: str | os.PathLike) -> str:
    return f"workdir = {os.fspath(workdir)!r}"


def read_config(workdir: Path) -> Config:
    """Return the saved config of a run; raises InputError if it cannot be read."""
    path = workdir / "config.json"
    try:
        if path.exists() and not path.is_file():
            raise OSError("not a regular file")
        return config_lib.from_dict(json.loads(path.read_text()))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(
            f"{_name(workdir)}: no run there, {path} cannot be read ({error})"
        ) from error
    except Exception as error:
        if is_local(workdir):
            raise
        raise _unusable_bucket(workdir, error) from error


def trial_workdir(workdir: str | os.PathLike, name: str) -> Path:
    """Return the workdir of a trial of a sweep."""
    return as_path(workdir) / "trials" / name


def run_workdir(workdir: str | os.PathLike, trial: int | str | None) -> Path:
    """Return the workdir of a run, or of the trial with that name or number in a sweep.

    Raises:
      InputError: the trial does not exist, or the workdir holds a sweep and `trial` is None.
    """
    if not (as_path(workdir) / "trials").is_dir():
        if trial is not None:
            raise InputError(f"trial = {trial!r}: {_name(workdir)} contains no sweep; omit it")
        return as_path(workdir)
    names = list(sweep.trial_configs(read_config(as_path(workdir))))
    if trial is None:
        raise InputError(
            f"trial = None: {_name(workdir)} holds a sweep; "
            f"give one of {', '.join(names)}, or its number"
        )
    if not isinstance(trial, int):
        return trial_workdir(workdir, check_choice("trial", trial, names))
    if not 0 <= trial < len(names):
        raise InputError(f"trial = {trial}: must be from 0 to {len(names) - 1}")
    return trial_workdir(workdir, names[trial])
