"""Checkpoints: state and config together, written atomically by Orbax; no pickle."""

import dataclasses
import functools
import logging
import math
import os
import pathlib
import tempfile
import textwrap
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Self

import jax
import orbax.checkpoint as ocp
from jax.sharding import SingleDeviceSharding

from vae_jax import config as config_lib
from vae_jax.config import Config
from vae_jax.errors import InputError
from vae_jax.experiment import processes
from vae_jax.train import TrainState

logger = logging.getLogger(__name__)


class DamagedError(InputError):
    """A checkpoint that can't be read."""


@dataclasses.dataclass(frozen=True)
class Description:
    """What stands beside a state: enough to rebuild its model, and how good it was."""

    config: Config
    event_shape: tuple[int, ...]
    score: (
        float | None
    )  # goes up with quality; None where a signal, and not the config, asked for a checkpoint


class Checkpoints:
    """The checkpoints of one run, in `<workdir>/checkpoints/<step>`: the newest few, and the one of the best score."""

    def __init__(
        self, workdir: str | os.PathLike, *, keep: int = 2, for_writing: bool = True
    ) -> None:
        """Opens the directory; InputError when it can't be written, or is only to be read and isn't there."""
        self.directory = pathlib.Path(workdir).absolute() / "checkpoints"
        if not for_writing and not self.directory.is_dir():
            raise InputError(f"workdir = {os.fspath(workdir)!r}: no checkpoints there")
        if for_writing:
            _make_writable(self.directory)
        self._keep = keep
        options = ocp.CheckpointManagerOptions(
            enable_async_checkpointing=False,
            cleanup_tmp_directories=for_writing,  # else a run may be writing one of them
            create=for_writing,
        )
        try:
            self._manager = ocp.CheckpointManager(self.directory, options=options)
        except (
            TypeError,
            ValueError,
        ) as error:  # what Orbax notes of a step, when it is not what Orbax writes
            raise InputError(
                f"{self.directory}: damaged, the record of a step can't be read ({error}); move that step away"
            ) from error

    def save(self, state: TrainState, description: Description) -> None:
        """Writes the state at its step, whole or not at all."""
        items = ocp.args.Composite(
            state=ocp.args.StandardSave(state),
            description=ocp.args.JsonSave(dataclasses.asdict(description)),
        )
        if not self._manager.save(int(state.step), args=items, force=True):
            raise OSError(f"Orbax did not write step {int(state.step)}")

    def prune(self) -> None:
        """Drops what is neither among the newest nor the best; what has no score, as soon as there is anything newer."""
        scores = self._scores()
        regular = [step for step in self.steps() if scores.get(step, 0.0) is not None]
        kept = {*regular[-self._keep :], _best(scores), self.steps()[-1]}
        for step in set(self.steps()) - kept:
            self._manager.delete(step)

    def steps(self) -> list[int]:
        """Steps of the checkpoints there are, oldest first."""
        return sorted(self._manager.all_steps())

    def best_step(self) -> int | None:
        """The step of the best score among the descriptions that can be read, the later one of two; None without any."""
        return _best(self._scores())

    def _scores(self) -> dict[int, float | None]:
        scores = {}
        for step in self.steps():
            try:
                scores[step] = self.describe(step).score
            except DamagedError as error:
                logger.warning("%s", error)
        return scores

    def describe(self, step: int) -> Description:
        """The description of a checkpoint; DamagedError when it can't be read."""
        values = self._restore(step, "description", ocp.args.JsonRestore())
        try:
            score = None if values["score"] is None else float(values["score"])
            shape = tuple(values["event_shape"])
            if not 0 < len(shape) <= 3 or any(
                type(size) is not int or not 0 < size < 2**31 for size in shape
            ):
                raise ValueError(f"event_shape = {shape}")
            return Description(config_lib.from_dict(values["config"]), shape, score)
        except (KeyError, TypeError, ValueError) as error:
            reason = textwrap.shorten(
                f"lacks {error}" if isinstance(error, KeyError) else f"holds {error}", 200
            )
            raise DamagedError(
                f"checkpoint {step} in {self.directory} is damaged: its description {reason}"
            ) from error

    def restore(self, step: int, like: TrainState) -> TrainState:
        """The state at that step, like `like` in shapes, types and placement; to one device where that is abstract.

        Raises:
          DamagedError: it can't be read.
        """
        device = SingleDeviceSharding(jax.local_devices()[0])
        abstract = jax.tree.map(
            lambda x: jax.ShapeDtypeStruct(
                x.shape, x.dtype, sharding=getattr(x, "sharding", None) or device
            ),
            like,
        )
        return self._restore(step, "state", ocp.args.StandardRestore(abstract))

    def _restore(self, step: int, item: str, args: Any) -> Any:
        try:
            return self._manager.restore(step, args=ocp.args.Composite(**{item: args}))[item]
        except Exception as error:  # Orbax and TensorStore raise many types on a damaged file
            reason = textwrap.shorten(str(error) or type(error).__name__, 200)
            raise DamagedError(
                f"checkpoint {step} in {self.directory} is damaged: {reason}"
            ) from error

    def forget_after(self, step: int, damaged: Collection[int]) -> None:
        """Takes away what is newer than a step, so that the run can write it again: the damaged ones as `damaged-<step>`."""
        for newer in (s for s in self.steps() if s > step):
            if newer in damaged:
                processes.on_first(functools.partial(self._set_aside, newer))
                self._manager.reload()
            else:
                self._manager.delete(newer)

    def _set_aside(self, step: int) -> None:
        names = (
            self.directory / f"damaged-{step}{suffix}"
            for suffix in ("", *(f".{n}" for n in range(1, 1000)))
        )
        (self.directory / str(step)).rename(next(name for name in names if not name.exists()))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: Any) -> None:
        self._manager.close()


def _make_writable(directory: pathlib.Path) -> None:
    """Makes the directory, and finds out before a step is taken what else the first checkpoint would fail of."""
    try:
        directory.mkdir(exist_ok=True)
        with tempfile.TemporaryFile(dir=directory):
            pass
    except OSError as error:
        where = f"workdir = {os.fspath(directory.parent)!r}"
        raise InputError(
            f"{where}: {directory} cannot be written ({error.strerror or error})"
        ) from error


def _best(scores: Mapping[int, float | None]) -> int | None:
    return max(
        scores,
        key=lambda step: (-math.inf if scores[step] is None else scores[step], step),
        default=None,
    )


def restore_latest(
    kept: Sequence[Checkpoints], like: Sequence[TrainState], configs: Sequence[Config]
) -> list[TrainState] | None:
    """The newest step that each of some runs, the trials of a sweep, has whole; None when they have no step in common.

    With a warning for each checkpoint that can't be read. What is newer is taken away: trials are saved one after the other,
    so a kill may leave some of them one checkpoint ahead.

    Raises:
      InputError: a checkpoint is of a run of another config, some are damaged and no step can be read, or trials have several
        checkpoints but none in common.
    """
    damaged: set[int] = set()
    for step in sorted(set.intersection(*(set(one.steps()) for one in kept)), reverse=True):
        try:
            states = [_restore_own(*args, step) for args in zip(kept, like, configs, strict=True)]
        except DamagedError as error:
            logger.warning("%s; trying the one before", error)
            damaged.add(step)
            continue
        break
    else:
        directory, most = kept[0].directory, max(len(one.steps()) for one in kept)
        if damaged:
            raise InputError(
                f"{directory}: none of the checkpoints {sorted(damaged)} can be read; take another workdir"
            )
        if most > 1:  # more than a kill in the first save leaves
            raise InputError(
                f"{directory.parent.parent}: the trials there have no checkpoint of the same step; take another workdir, or put "
                "back what is missing"
            )
        states, step = None, -1
    for one in kept:
        one.forget_after(step, damaged)
    return states


def _restore_own(
    checkpoints: Checkpoints, like: TrainState, config: Config, step: int
) -> TrainState:
    config_lib.check_same(config, checkpoints.describe(step).config, str(checkpoints.directory))
    return checkpoints.restore(step, like)
