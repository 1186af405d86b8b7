"""The figures of runs and of sweeps."""

import contextlib
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from vae_jax import visualize
from vae_jax.config import Config, sweep
from vae_jax.experiment import builders, metrics, processes
from vae_jax.experiment.jax_settings import carry_settings
from vae_jax.experiment.measurement.ahead import make_pool
from vae_jax.experiment.results import Results
from vae_jax.experiment.run import Run
from vae_jax.experiment.storage.metric_writer import read_metrics, write_figures
from vae_jax.files import Path
from vae_jax.types import T

if TYPE_CHECKING:
    from matplotlib.figure import Figure

logger = logging.getLogger(__name__)

FOOLED = 3  # mean errors of a prediction on test molecules beyond which it is too good


def plot_runs(contexts: Sequence[metrics.Context]) -> None:
    """Plot the figures of these runs, on the first process."""
    if not processes.is_first():
        return
    for context in contexts:
        logger.info("plotting")
        history = read_metrics(context.workdir)
        with _threads() as start:
            paths = visualize.plot_all(
                context.trained_model,
                context.dataset,
                context.finite_terms,
                history,
                context.workdir / "figures",
                corruption=builders.build_corruption(context.config, context.model.units),
                file_format=context.config.evaluation.figures,
                projection=context.config.evaluation.projection,
                curves=builders.describe_curves(context.config),
                start=start,
            )
        write_figures(context.workdir, history[-1]["step"] if history else 0, paths)
        _plot_search(context)


@contextlib.contextmanager
def _threads() -> Iterator[visualize.Start]:
    """Compute what figures show in two threads, where programs may compile in threads.

    At most two computations share the memory. An error cancels those that have not begun.
    """
    pool = make_pool()
    if pool is None:
        yield visualize.when_needed
        return

    def start(function: Callable[[], T], /) -> Callable[[], T]:
        return pool.submit(carry_settings(function)).result

    try:
        yield start
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _plot_search(context: metrics.Context) -> None:
    """Plot the best molecules that the metric 'search' found, if it was measured."""
    c = context.config.evaluation
    numbers = Results(context.workdir).earlier.get("metrics", {}).get("search", {})
    if "search" not in c.metric_names or "predictor" not in numbers:
        return
    from vae_jax.evaluation.search import read_candidates
    from vae_jax.visualize import molecules

    figure = molecules.best_found(
        read_candidates(context.workdir / numbers["candidates_file"]),
        molecules.PROPERTY_NAMES[c.search_property],
        tolerance=tolerance_of(numbers),
        goal=c.search_goal,
        best_training=numbers["best_training"],
    )
    _save(figure, context.workdir / "figures", "molecule_search", c.figures)


def _save(figure: "Figure", directory: Path, name: str, file_format: str) -> None:
    """Write a figure as PNG, and as PDF or SVG if that is the format."""
    for suffix in dict.fromkeys(("png", file_format)):
        visualize.save(figure, directory / f"{name}.{suffix}")


def tolerance_of(numbers: Mapping[str, Any]) -> float:
    """The error of a prediction that is not marked as too good, by the numbers of 'search'.

    It is a few times the mean absolute error of the regression that the search climbed.
    """
    return FOOLED * numbers["regressions"][numbers["predictor"]]["mae"]


def plot_front(
    runs: Sequence[Run], trials: Mapping[str, Any], config: Config, workdir: Path
) -> None:
    """Plot test rate against distortion, one point for each trial."""
    points = [
        (sweep.values_of(run.config, config), trials[run.workdir.name]["test"]) for run in runs
    ]
    if any(np.isfinite(test["rate"]) for _, test in points):
        directory = workdir / "figures"
        directory.mkdir(exist_ok=True)
        figure = visualize.rate_distortion(points)
        _save(figure, directory, "rate_distortion", config.evaluation.figures)
