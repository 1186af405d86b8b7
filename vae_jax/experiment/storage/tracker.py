"""A writer for experiment trackers with the interface of wandb: `init`, `log` and `finish`."""

import logging
import math
from collections.abc import Mapping
from typing import Any

from vae_jax.config import Config, flatten
from vae_jax.data.optional import import_tracker

logger = logging.getLogger(__name__)

NO_TRACKER = "none"
TRACKERS = (NO_TRACKER, "wandb", "trackio")
PROJECT = "vae_jax"


class Tracker:
    """Sends the scalars of one run to the tracker of `config.train.tracker`, if there is one.

    The run has the name and the fields of the config. An error of the tracker, such as a lost
    connection, is logged once and ends the sending, but not the training.
    """

    def __init__(self, config: Config) -> None:
        """Begin a run; raises InputError if the package is not installed."""
        self._module: Any = None
        if config.train.tracker == NO_TRACKER:
            return
        self._module = import_tracker(config.train.tracker)
        self._try("init", project=PROJECT, name=config.name, config=flatten(config))

    def write(self, step: int, scalars: Mapping[str, float]) -> None:
        """Send the finite scalars of a step by tag."""
        finite = {name: value for name, value in scalars.items() if math.isfinite(value)}
        self._try("log", finite, step=step)

    def close(self) -> None:
        """End the run."""
        self._try("finish")
        self._module = None

    def _try(self, function: str, /, *arguments: Any, **options: Any) -> None:
        if self._module is None:
            return
        try:
            getattr(self._module, function)(*arguments, **options)
        except Exception as error:  # a tracker may raise anything
            logger.warning(
                "%s.%s failed (%s: %s); the training continues without this tracker",
                *(self._module.__name__, function, type(error).__name__, error),
            )
            self._module = None
