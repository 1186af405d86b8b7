"""Checkpoints: state and config together, written atomically by Orbax; no pickle."""

import dataclasses
import functools
import itertools
import logging
import os
import tempfile
import textwrap
from collections.abc import Collection, Sequence
from typing import Any, Self

import jax
from jax.sharding import SingleDeviceSharding

from vae_jax import config as config_lib
from vae_jax.config import Config
from vae_jax.errors import InputError
from vae_jax.experiment import processes
from vae_jax.experiment.storage.damage import DamagedError, RefusedError, raise_unless_damage
from vae_jax.experiment.storage.description import Description, best_step, parse_description
from vae_jax.experiment.storage.staging import Staging
from vae_jax.files import Path, as_path, is_local
from vae_jax.train import TrainState

logger = logging.getLogger(__name__)


class Checkpoints:
    """The newest checkpoints of a run and its best one, in `<workdir>/checkpoints/<step>`."""

    def __init__(
        self, workdir: str | os.PathLike, *, keep: int = 2, for_writing: bool = True
    ) -> None:
        """Open the directory; raises InputError if it is unusable or, for reading, missing.

        Raises RunStopped if another process of the run is lost.
        """
        import orbax.checkpoint as ocp  # slow: programs of a new run compile meanwhile

        self._args = ocp.args
        self.directory = as_path(workdir) / "checkpoints"
        if is_local(self.directory):
            self.directory = self.directory.absolute()
        if not for_writing and not self.directory.is_dir():
            raise InputError(f"workdir = {os.fspath(workdir)!r}: no checkpoints there")
        if for_writing:
            _make_writable(self.directory)
        self._keep, self._for_writing = keep, for_writing
        self._staging = _open_staging(self.directory, for_writing=for_writing)
        # Where Orbax reads and writes.
        self._local = self.directory if self._staging is None else self._staging.directory
        options = ocp.CheckpointManagerOptions(
            enable_async_checkpointing=False,
            cleanup_tmp_directories=for_writing,  # a reader would disturb a run that writes one
            create=for_writing,
        )
        try:
            self._manager = ocp.CheckpointManager(self._local, options=options)
        except (TypeError, ValueError) as error:  # raised by Orbax's record of a step
            raise_unless_damage(error, os.fspath(self.directory), self._local)
            raise InputError(
                f"{self.directory}: damaged, the record of a step cannot be read ({error}); "
                "move that step away"
            ) from error

    def save(self, state: TrainState, description: Description) -> None:
        """Write the state at its step, whole or not at all."""
        items = self._args.Composite(
            state=self._args.StandardSave(state),
            description=self._args.JsonSave(dataclasses.asdict(description)),
        )
        if not self._manager.save(int(state.step), args=items, force=True):
            raise OSError(f"Orbax did not write step {int(state.step)}")
        if self._staging is not None:
            self._staging.upload(int(state.step))

    def prune(self) -> None:
        """Delete all but the newest, the best, and the last checkpoint, with or without a score."""
        descriptions = self._descriptions()
        steps = self.steps()
        to_resume = [step for step, saved in descriptions.items() if saved.score is None]
        regular = [step for step in steps if step not in to_resume]
        keep = {*regular[-self._keep :], best_step(descriptions), steps[-1]}
        for step in set(steps) - keep:
            self._delete(step)

    def _delete(self, step: int) -> None:
        self._manager.delete(step)
        if self._staging is not None:
            self._staging.delete(step)

    def steps(self) -> list[int]:
        """Return the steps of all checkpoints, oldest first."""
        return sorted(self._manager.all_steps())

    def best_step(self) -> int | None:
        """Return the step of the best score that competes, the earlier of two; None without any.

        Only scores with the name of the newest score compete, not scores of an earlier phase.
        """
        return best_step(self._descriptions())

    def last_step(self) -> int | None:
        """Return the newest step with a score, else the newest of all; None without any."""
        descriptions = self._descriptions()
        scored = [step for step, saved in descriptions.items() if saved.score is not None]
        return max(scored or descriptions, default=None)

    def _descriptions(self) -> dict[int, Description]:
        """The readable checkpoints by step, oldest first."""
        descriptions = {}
        for step in self.steps():
            try:
                descriptions[step] = self.describe(step)
            except DamagedError as error:
                logger.warning("%s", error)
            except RefusedError as error:
                if self._for_writing:  # it would delete checkpoints by what the others say
                    raise
                logger.warning("%s", error)
        return descriptions

    def describe(self, step: int) -> Description:
        """Return the description of a checkpoint; raises as `restore`."""
        values = self._restore(step, "description", self._args.JsonRestore())
        try:
            return parse_description(values)
        except (KeyError, TypeError, ValueError) as error:
            reason = f"lacks {error}" if isinstance(error, KeyError) else f"holds {error}"
            raise DamagedError(
                f"checkpoint {step} in {self.directory} is damaged: "
                f"its description {textwrap.shorten(reason, 200)}"
            ) from error

    def restore(self, step: int, like: TrainState) -> TrainState:
        """Return the state at a step, with the shapes, types and placement of `like`.

        An abstract `like` is placed on one device.

        Raises:
          DamagedError: the checkpoint is unreadable.
          RefusedError: the system refuses to read a file, as with too many open files.
          RunStopped: another process of the run is lost.
        """
        device = SingleDeviceSharding(jax.local_devices()[0])

        def abstract(x: Any) -> jax.ShapeDtypeStruct:
            sharding = getattr(x, "sharding", None) or device
            return jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding)

        args = self._args.StandardRestore(jax.tree.map(abstract, like))
        return self._restore(step, "state", args)

    def _restore(self, step: int, item: str, args: Any) -> Any:
        try:
            return self._manager.restore(step, args=self._args.Composite(**{item: args}))[item]
        except Exception as error:  # Orbax and TensorStore raise many types on a damaged file
            folder = self._local / str(step) / item
            raise_unless_damage(error, f"checkpoint {step} in {self.directory}", folder)
            reason = textwrap.shorten(str(error) or type(error).__name__, 200)
            raise DamagedError(
                f"checkpoint {step} in {self.directory} is damaged: {reason}"
            ) from error

    def discard_after(self, step: int, damaged: Collection[int]) -> None:
        """Delete checkpoints newer than `step`; rename damaged checkpoints to `damaged-<step>`."""
        for newer in self.steps():
            if newer <= step:
                continue
            if newer in damaged:
                processes.on_first(functools.partial(self._set_aside, newer))
                self._manager.reload()
            else:
                self._delete(newer)

    def _set_aside(self, step: int) -> None:
        target = self.directory / f"damaged-{step}"
        numbers = itertools.count(1)
        while target.exists():
            target = self.directory / f"damaged-{step}.{next(numbers)}"
        if self._staging is not None:
            self._staging.rename(step, target.name)
        (self._local / str(step)).rename(self._local / target.name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: Any) -> None:
        self._manager.close()
        if self._staging is not None:
            self._staging.close()


def _open_staging(directory: Path, *, for_writing: bool) -> Staging | None:
    """Open the local copy of a bucket; None if Orbax works on the directory itself."""
    if is_local(directory):
        return None
    if jax.process_count() == 1:
        return Staging(directory, for_writing=for_writing)
    if not os.fspath(directory).startswith("gs://"):
        raise InputError(
            f"workdir = {os.fspath(directory.parent)!r}: several processes need a directory that "
            "all of them share, or a bucket gs://"
        )
    return None


def _make_writable(directory: Path) -> None:
    """Make the directory and write to it, rather than fail at the first checkpoint."""
    try:
        directory.mkdir(exist_ok=True)
        if is_local(directory):  # `claim_workdir` has written to a bucket
            with tempfile.TemporaryFile(dir=directory):
                pass
    except OSError as error:
        raise InputError(
            f"workdir = {os.fspath(directory.parent)!r}: {directory} cannot be written "
            f"({error.strerror or error})"
        ) from error


def restore_latest(
    checkpoints: Sequence[Checkpoints], like: Sequence[TrainState], configs: Sequence[Config]
) -> list[TrainState] | None:
    """Return the states at the newest step that is intact in all runs; None if there is none.

    Warns about each unreadable checkpoint. Discards newer checkpoints: the trials of a sweep are
    saved one after another, so a kill may leave some of them one checkpoint ahead.

    Raises:
      InputError: a checkpoint belongs to another config, some are damaged and none is readable, or
        trials have several checkpoints but none in common.
    """
    damaged: set[int] = set()
    common = set.intersection(*(set(run.steps()) for run in checkpoints))
    states, last = None, -1
    for step in sorted(common, reverse=True):
        try:
            states = [
                _restore_run(*run, step) for run in zip(checkpoints, like, configs, strict=True)
            ]
        except DamagedError as error:
            logger.warning("%s; trying the previous checkpoint", error)
            damaged.add(step)
            continue
        last = step
        break
    if states is None:
        _check_restart(checkpoints, damaged)
    for run in checkpoints:
        run.discard_after(last, damaged)
    return states


def _restore_run(
    checkpoints: Checkpoints, like: TrainState, config: Config, step: int
) -> TrainState:
    config_lib.check_same(config, checkpoints.describe(step).config, str(checkpoints.directory))
    return checkpoints.restore(step, like)


def _check_restart(checkpoints: Sequence[Checkpoints], damaged: Collection[int]) -> None:
    """Raises InputError if a start from step 0 would discard checkpoints worth keeping."""
    directory = checkpoints[0].directory
    if damaged:
        raise InputError(
            f"{directory}: no checkpoint {sorted(damaged)} can be read; use another workdir"
        )
    if (
        max(len(run.steps()) for run in checkpoints) > 1
    ):  # more than a kill in the first save leaves
        raise InputError(
            f"{directory.parent.parent}: the trials there have no checkpoint of the same step; "
            "use another workdir, or restore the missing checkpoints"
        )
