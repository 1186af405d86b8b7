"""Checkpoints: state and config together, written atomically by Orbax; no pickle."""

import dataclasses
import logging
import os
import textwrap
from typing import Any, Self

import jax
import orbax.checkpoint as ocp
from jax.sharding import SingleDeviceSharding
from orbax.checkpoint import checkpoint_managers

from vae_jax import config as config_lib
from vae_jax.config import Config
from vae_jax.errors import InputError
from vae_jax.train import TrainState

logger = logging.getLogger(__name__)


class Checkpoints:
    """The checkpoints of one run, in `<workdir>/checkpoints/<step>`: the newest few, and the one of the best score."""

    def __init__(self, workdir: str | os.PathLike, *, keep: int = 2, read_only: bool = False) -> None:
        """Opens the directory; InputError when it is to be read and isn't there."""
        self.directory = os.path.abspath(os.path.join(workdir, "checkpoints"))
        if read_only and not os.path.isdir(self.directory):
            raise InputError(f"workdir = {os.fspath(workdir)!r}: no checkpoints there")
        newest, best = checkpoint_managers.LatestN(keep), checkpoint_managers.BestN(get_metric_fn=_score, n=1)
        options = ocp.CheckpointManagerOptions(
            best_fn=_score,
            preservation_policy=checkpoint_managers.AnyPreservationPolicy([newest, best]),
            enable_async_checkpointing=False,
            cleanup_tmp_directories=not read_only,  # a run may be writing one of them
            create=not read_only,
        )
        self._manager = ocp.CheckpointManager(self.directory, options=options)

    def save(self, state: TrainState, config: Config, event_shape: tuple[int, ...], score: float) -> None:
        """Writes the state at its step, whole or not at all, with what rebuilds the model. `score` goes up with quality."""
        description = {"config": dataclasses.asdict(config), "event_shape": list(event_shape)}
        items = ocp.args.Composite(state=ocp.args.StandardSave(state), description=ocp.args.JsonSave(description))
        self._manager.save(int(state.step), args=items, metrics={"score": float(score)})

    def steps(self) -> list[int]:
        """Steps of the checkpoints there are, oldest first."""
        return sorted(self._manager.all_steps())

    def best_step(self) -> int | None:
        """The step of the best score, None without a checkpoint."""
        return self._manager.best_step()

    def restore(self, step: int, like: TrainState) -> TrainState:
        """The state at that step, like `like` in shapes, types and placement; to one device where that is abstract."""
        device = SingleDeviceSharding(jax.local_devices()[0])
        abstract = jax.tree.map(
            lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=getattr(x, "sharding", None) or device), like
        )
        return self._manager.restore(step, args=ocp.args.Composite(state=ocp.args.StandardRestore(abstract)))["state"]

    def restore_description(self, step: int) -> tuple[Config, tuple[int, ...]]:
        """The config of the run and the shape of its events."""
        description = self._manager.restore(step, args=ocp.args.Composite(description=ocp.args.JsonRestore()))["description"]
        return config_lib.from_dict(description["config"]), tuple(description["event_shape"])

    def restore_latest(self, like: TrainState) -> TrainState | None:
        """The newest checkpoint that can be read, with a warning for each that can't; None when there are none.

        A damaged one is set aside as `damaged-<step>`, so that the run can write that step again. InputError when there are
        some and none can be read.
        """
        steps = self.steps()
        for step in reversed(steps):
            try:
                return self.restore(step, like)
            except Exception as error:  # Orbax and TensorStore raise many types on a damaged file
                reason = textwrap.shorten(str(error) or type(error).__name__, 200)
                logger.warning("checkpoint %d in %s is damaged, trying the one before: %s", step, self.directory, reason)
                self._set_aside(step)
        if steps:
            raise InputError(f"{self.directory}: none of the checkpoints {steps} can be read; move it away to start again")
        return None

    def _set_aside(self, step: int) -> None:
        os.rename(os.path.join(self.directory, str(step)), os.path.join(self.directory, f"damaged-{step}"))
        self._manager.reload()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: Any) -> None:
        self._manager.close()


def _score(metrics: dict[str, Any]) -> float:
    return metrics["score"]
