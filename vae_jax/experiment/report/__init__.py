"""The report of a run, or of several: one self-contained page of HTML, made of the files of their workdirs.

It reads `config.json`, `metrics.jsonl`, `results.json` and `figures/`, and touches neither the model nor the data.
"""

import os
import pathlib
from collections.abc import Sequence

from vae_jax.errors import InputError
from vae_jax.experiment.report.comparison import comparison_page
from vae_jax.experiment.report.single_run import run_page
from vae_jax.experiment.report.workdir_files import Contents, mapping, read, trials
from vae_jax.files import write_atomically

__all__ = ["write_comparison", "write_report"]

NAME = "report.html"


def write_report(workdir: str | os.PathLike) -> pathlib.Path:
    """Writes `report.html` into the workdir, of a sweep a comparison of its trials, and returns its path.

    Raises:
      InputError: there are no results yet, or they can't be read.
    """
    workdir = pathlib.Path(workdir)
    contents = read(workdir)
    if not isinstance(contents.results.get("trials"), dict):
        return _write(workdir / NAME, run_page(contents))
    swept, failed = mapping(contents.results.get("swept")), mapping(contents.results.get("failed"))
    runs, missing = {}, dict(failed)
    for trial in trials(workdir, contents.results):
        try:
            runs[trial.name] = read(trial)
        except InputError as error:
            missing[trial.name] = str(error)
    page = comparison_page(
        contents.name, runs, swept=swept, failed=missing, sweeps={contents.name: contents}
    )
    return _write(workdir / NAME, page)


def write_comparison(
    workdirs: Sequence[str | os.PathLike], path: str | os.PathLike
) -> pathlib.Path:
    """Writes one page that compares the runs of several workdirs, each trial of a sweep being a run; returns its path.

    Raises:
      InputError: one of them has no results, or some that can't be read.
    """
    runs: dict[str, Contents] = {}
    sweeps: dict[str, Contents] = {}
    for workdir in map(pathlib.Path, workdirs):
        contents = read(workdir)
        parts = [read(trial) for trial in trials(workdir, contents.results)]
        if parts:
            sweeps[_free(contents.name, contents, sweeps)] = contents
        parts = parts or [contents]
        for part in parts:
            runs[
                _free(
                    part.name if len(parts) == 1 else f"{contents.name} {part.workdir.name}",
                    part,
                    runs,
                )
            ] = part
    if not runs:
        raise InputError("workdirs: there are none; give at least one")
    return _write(pathlib.Path(path), comparison_page("Comparison", runs, sweeps=sweeps))


def _free(name: str, run: Contents, taken: dict[str, Contents]) -> str:
    """A name that no other run on the page has."""
    if name in taken:
        name = f"{name} ({run.workdir.name})"
    number, candidate = 2, name
    while candidate in taken:
        number, candidate = number + 1, f"{name} {number}"
    return candidate


def _write(path: pathlib.Path, text: str) -> pathlib.Path:
    write_atomically(path, text.encode(errors="replace"))
    return path
