"""Tables of daily flows, one column for each river: simulated, or from a CSV file."""

import os

import numpy as np

from vae_jax.errors import InputError

MIN_ROWS = 20
MEANS = np.array([2.0, 15.0, 120.0, 0.4])  # cubic meters per second
RAIN = np.array([1.0, 0.8, 0.5, 1.2])  # how much rain reaches each river


def simulate(num_days: int, seed: int) -> np.ndarray:
    """Flows [num_days, 4] of rivers that share rain and season, with gamma noise of shape 8."""
    rng = np.random.default_rng(seed)
    season = 0.6 * np.sin(2 * np.pi * rng.random((num_days, 1)))
    rain = 0.8 * rng.normal(size=(num_days, 1))
    mean = MEANS * np.exp(season + rain * RAIN)
    return rng.gamma(8.0, mean / 8.0)


def read(path: str | os.PathLike) -> np.ndarray:
    """The numbers [N, C] of a CSV file below its header; empty cells are NaN.

    Raises:
      InputError: no such file, an entry is no number, or rows differ in length.
    """
    try:
        return np.loadtxt(path, delimiter=",", skiprows=1, ndmin=2, converters=_number)
    except (OSError, ValueError) as error:
        raise InputError(f"table = {os.fspath(path)!r}: {error}") from error


def check(flows: np.ndarray) -> None:
    """Raises InputError if there are too few rows, or a column has no two different values."""
    if len(flows) < MIN_ROWS:
        raise InputError(f"table: number of rows is {len(flows)}, must be at least {MIN_ROWS}")
    for number, column in enumerate(flows.T):
        if len(np.unique(column[~np.isnan(column)])) < 2:
            raise InputError(f"table: column {number} has no two different values; remove it")


def _number(cell: str) -> float:
    return float(cell.strip() or "nan")
