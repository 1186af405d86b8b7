"""What a workdir holds, read without a device, the data or the model."""

import dataclasses
import io
import json
import logging
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from vae_jax.config import Config
from vae_jax.errors import InputError
from vae_jax.experiment.storage.metric_writer import read_metrics
from vae_jax.experiment.storage.workdir import read_config

logger = logging.getLogger(__name__)

PNG_START, PNG_END = b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82"


@dataclasses.dataclass(frozen=True)
class Contents:
    """The files of a run, as far as they can be read."""

    workdir: pathlib.Path
    results: Mapping[str, Any] = dataclasses.field(repr=False)
    config: Config | None = dataclasses.field(repr=False)
    history: Sequence[Mapping[str, Any]] = dataclasses.field(repr=False)

    @property
    def name(self) -> str:
        """What the run is called."""
        return str(self.results.get("name") or self.workdir.name)

    def split(self, name: str) -> Mapping[str, Any]:
        """The numbers of a split, empty where there are none."""
        return mapping(self.results.get(name))

    @property
    def metrics(self) -> dict[str, Mapping[str, Any]]:
        """The metrics that the config asked for, by name."""
        return {
            str(key): value
            for key, value in mapping(self.results.get("metrics")).items()
            if isinstance(value, Mapping)
        }

    def has_figure(self, name: str) -> bool:
        """Whether there is such a file, whole or not."""
        return (self.workdir / "figures" / f"{name}.png").exists()

    def figure(self, name: str) -> bytes | None:
        """A picture of the run, None where there is none that is whole."""
        try:
            content = (self.workdir / "figures" / f"{name}.png").read_bytes()
        except OSError:
            return None
        return content if content.startswith(PNG_START) and content.endswith(PNG_END) else None

    def arrays(self, name: str) -> dict[str, np.ndarray]:
        """The arrays of an .npz file of the run, empty where it can't be read."""
        try:
            with np.load(
                io.BytesIO((self.workdir / pathlib.Path(name).name).read_bytes()),
                allow_pickle=False,
            ) as file:
                return {key: file[key] for key in file.files}
        except Exception as error:  # numpy and zipfile have many for a damaged file
            logger.warning(
                "%s: cannot be read (%s), left out", self.workdir / name, type(error).__name__
            )
            return {}


def mapping(value: Any) -> Mapping[str, Any]:
    """The value where it is a mapping, else an empty one."""
    return value if isinstance(value, Mapping) else {}


def read(workdir: str | os.PathLike) -> Contents:
    """What is in a workdir; InputError where it holds no results, or some that can't be read."""
    workdir = pathlib.Path(workdir)
    results = _results(workdir)
    try:
        config = read_config(workdir)
    except InputError as error:
        logger.warning("%s", error)
        config = None
    try:
        history = read_metrics(workdir)
    except OSError as error:
        logger.warning("%s: cannot be read (%s)", workdir / "metrics.jsonl", error)
        history = []
    whole = [
        line
        for line in history
        if isinstance(line["step"], int | float) and all(map(_is_plain, line.values()))
    ]
    return Contents(workdir, results, config, whole)


def _is_plain(value: Any) -> bool:
    return not isinstance(value, Mapping | list)


def _results(workdir: pathlib.Path) -> Mapping[str, Any]:
    where = f"workdir = {os.fspath(workdir)!r}"
    path, make = workdir / "results.json", f"python -m vae_jax.main --workdir={workdir} --mode=eval"
    try:
        results = json.loads(path.read_text())
    except FileNotFoundError as error:
        if not (workdir / "config.json").exists():
            raise InputError(
                f"{where}: no run there, it has neither config.json nor results.json"
            ) from error
        raise InputError(f"{where}: no results.json yet; make it with: {make}") from error
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(
            f"{where}: {path} cannot be read ({error}); make it again with: {make}"
        ) from error
    if not isinstance(results, Mapping):
        raise InputError(f"{where}: {path} holds no results; make it again with: {make}")
    return results


def trials(workdir: pathlib.Path, results: Mapping[str, Any]) -> list[pathlib.Path]:
    """The workdirs of the trials of a sweep, empty for a run alone."""
    return [workdir / "trials" / str(name) for name in mapping(results.get("trials"))]
