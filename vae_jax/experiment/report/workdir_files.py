"""Reading the files of a workdir without a device, the data or the model."""

import dataclasses
import io
import json
import logging
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from vae_jax.config import Config
from vae_jax.errors import InputError
from vae_jax.experiment.storage.metric_writer import read_metrics
from vae_jax.experiment.storage.workdir import read_config
from vae_jax.files import Path, as_path

logger = logging.getLogger(__name__)

PNG_START = b"\x89PNG\r\n\x1a\n"
PNG_END = b"IEND\xaeB`\x82"


@dataclasses.dataclass(frozen=True)
class Contents:
    """The readable files of a run."""

    workdir: Path
    results: Mapping[str, Any] = dataclasses.field(repr=False)
    config: Config | None = dataclasses.field(repr=False)
    history: Sequence[Mapping[str, Any]] = dataclasses.field(repr=False)

    @property
    def name(self) -> str:
        """The name of the run."""
        return str(self.results.get("name") or self.workdir.name)

    def results_of(self, key: str) -> Mapping[str, Any]:
        """A part of the results, such as a split; empty if missing."""
        return as_mapping(self.results.get(key))

    @property
    def metrics(self) -> dict[str, Mapping[str, Any]]:
        """The numbers of each requested metric."""
        metrics = self.results_of("metrics")
        return {str(key): value for key, value in metrics.items() if isinstance(value, Mapping)}

    def has_figure(self, name: str) -> bool:
        """True if the file exists, even if it is damaged."""
        return self._figure_path(name).exists()

    def figure(self, name: str) -> bytes | None:
        """A PNG file of the run, None if it is missing or truncated."""
        try:
            content = self._figure_path(name).read_bytes()
        except OSError:
            return None
        return content if content.startswith(PNG_START) and content.endswith(PNG_END) else None

    def _figure_path(self, name: str) -> Path:
        return self.workdir / "figures" / f"{name}.png"

    def arrays(self, name: str) -> dict[str, np.ndarray]:
        """The arrays of an .npz file of the run, empty if it cannot be read."""
        path = self.workdir / os.path.basename(name)
        try:
            with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as file:
                return {key: file[key] for key in file.files}
        except Exception as error:  # numpy and zipfile raise many types for a damaged file
            logger.warning("%s: cannot be read (%s), skipped", path, type(error).__name__)
            return {}


def as_mapping(value: Any) -> Mapping[str, Any]:
    """The value if it is a mapping, else an empty one."""
    return value if isinstance(value, Mapping) else {}


def read_workdir(workdir: str | os.PathLike) -> Contents:
    """The contents of a workdir. Raises InputError if it has no readable results."""
    workdir = as_path(workdir)
    results = _read_results(workdir)
    config = None
    history = []
    try:
        config = read_config(workdir)
    except InputError as error:
        logger.warning("%s", error)
    try:
        history = read_metrics(workdir)
    except OSError as error:
        logger.warning("%s: cannot be read (%s)", workdir / "metrics.jsonl", error)
    return Contents(workdir, results, config, [line for line in history if _is_valid(line)])


def _is_valid(line: Mapping[str, Any]) -> bool:
    is_flat = not any(isinstance(value, Mapping | list) for value in line.values())
    return is_flat and isinstance(line["step"], int | float)


def _read_results(workdir: Path) -> Mapping[str, Any]:
    where = f"workdir = {os.fspath(workdir)!r}"
    path = workdir / "results.json"
    command = f"python -m vae_jax.main --workdir={workdir} --mode=eval"
    try:
        results = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        if not (workdir / "config.json").exists():
            raise InputError(
                f"{where}: no run there, it has neither config.json nor results.json"
            ) from error
        raise InputError(f"{where}: no results.json yet; create it with: {command}") from error
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(
            f"{where}: {path} cannot be read ({error}); create it again with: {command}"
        ) from error
    if not isinstance(results, Mapping):
        raise InputError(f"{where}: {path} has no results; create it again with: {command}")
    return results


def trial_workdirs(contents: Contents) -> list[Path]:
    """The workdirs of the trials of a sweep, empty for a single run."""
    return [contents.workdir / "trials" / str(name) for name in contents.results_of("trials")]
