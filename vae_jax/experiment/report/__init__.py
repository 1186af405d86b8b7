"""Reports: self-contained HTML pages about one run or several, from the files in their workdirs.

They read `config.json`, `metrics.jsonl`, `results.json` and `figures/`, but neither model nor data.
"""

import os
from collections.abc import Sequence

from vae_jax.errors import InputError
from vae_jax.experiment.report.comparison import comparison_page
from vae_jax.experiment.report.single_run import run_page
from vae_jax.experiment.report.workdir_files import Contents, read_workdir, trial_workdirs
from vae_jax.files import Path, as_path, write_atomically

__all__ = ["write_comparison", "write_report"]

NAME = "report.html"


def write_report(workdir: str | os.PathLike) -> Path:
    """Write `report.html` into the workdir, for a sweep a comparison of trials; return its path.

    Raises:
      InputError: there are no results yet, or they cannot be read.
    """
    contents = read_workdir(workdir)
    path = contents.workdir / NAME
    if not isinstance(contents.results.get("trials"), dict):
        return _write(path, run_page(contents))
    runs = {}
    failed = dict(contents.results_of("failed"))
    for trial in trial_workdirs(contents):
        try:
            runs[trial.name] = read_workdir(trial)
        except InputError as error:
            failed[trial.name] = str(error)
    page = comparison_page(
        contents.name,
        runs,
        swept=contents.results_of("swept"),
        failed=failed,
        sweeps={contents.name: contents},
    )
    return _write(path, page)


def write_comparison(workdirs: Sequence[str | os.PathLike], path: str | os.PathLike) -> Path:
    """Write one page that compares several runs and the trials of sweeps, and return its path.

    Raises:
      InputError: no workdir is given, or one has no results that can be read.
    """
    runs: dict[str, Contents] = {}
    sweeps: dict[str, Contents] = {}
    for workdir in workdirs:
        contents = read_workdir(workdir)
        trials = [read_workdir(trial) for trial in trial_workdirs(contents)]
        if trials:
            sweeps[_unique_name(contents.name, contents, sweeps)] = contents
        for run in trials or [contents]:
            name = f"{contents.name} {run.workdir.name}" if len(trials) > 1 else run.name
            runs[_unique_name(name, run, runs)] = run
    if not runs:
        raise InputError("workdirs: empty; give at least one")
    return _write(as_path(path), comparison_page("Comparison", runs, sweeps=sweeps))


def _unique_name(name: str, run: Contents, others: dict[str, Contents]) -> str:
    """A name that no other run on the page has."""
    if name in others:
        name = f"{name} ({run.workdir.name})"
    candidate = name
    number = 2
    while candidate in others:
        candidate = f"{name} {number}"
        number += 1
    return candidate


def _write(path: Path, text: str) -> Path:
    write_atomically(path, text.encode(errors="replace"))
    return path
