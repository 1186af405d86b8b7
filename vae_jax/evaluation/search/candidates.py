"""Candidates of a search in latent space: the value predicted beside the value recomputed.

A candidate is a code z. Its predicted value is the regression's at z; its recomputed value is that
of what z decodes to. A search that fools its predictor shows in the difference of both.
"""

import csv
import dataclasses
import io
import math
from collections.abc import Hashable, Sequence
from typing import Any, Literal, TypeAlias

import numpy as np

from vae_jax.errors import InputError, check_choice
from vae_jax.evaluation.common import Estimate, mean_estimate, share_estimate
from vae_jax.files import Path, write_atomically

Goal: TypeAlias = Literal["maximize", "minimize"]
GOALS = ("maximize", "minimize")


@dataclasses.dataclass(frozen=True, eq=False)
class Candidates:
    """A table of M candidates, one array [M] for each column.

    A text is None, and a number NaN, if there is none: `decoded` and `recomputed` of a code that
    decodes to nothing valid, `start_decoded` and `start_value` of a search from a draw of the
    prior, `predicted_stddev` of a regression without one.
    """

    method: np.ndarray  # name of the search, such as "ascent"
    round: np.ndarray  # of a search in rounds, from 0
    start: np.ndarray  # row of the training codes where the search began, -1 for another place
    start_decoded: np.ndarray  # the training example of that row
    start_value: np.ndarray  # its value
    predicted: np.ndarray  # value that the regression predicts at z
    predicted_stddev: np.ndarray  # standard deviation of the prediction
    decoded: np.ndarray  # the candidate decoded, such as a SMILES string
    recomputed: np.ndarray  # value of `decoded`
    distance: np.ndarray  # to the nearest training code; 1 is typical of codes of held-out data
    log_prior: np.ndarray  # log p(z), nats
    in_training: np.ndarray  # True if `decoded` is a training example
    is_duplicate: np.ndarray  # True if an earlier candidate of the method decodes to the same
    z: np.ndarray | None = None  # [M, D]; None in a table that was read from a file

    def __len__(self) -> int:
        return len(self.method)

    @property
    def is_valid(self) -> np.ndarray:
        """True for candidates with a recomputed value, [M]."""
        return np.isfinite(self.recomputed)

    def select(self, index: Any) -> "Candidates":
        """The candidates at an index or a mask."""
        columns = {name: getattr(self, name)[index] for name in COLUMNS}
        return Candidates(**columns, z=None if self.z is None else self.z[index])

    def best(self, number: int, goal: Goal = "maximize") -> "Candidates":
        """The best by recomputed value, at most `number`, each decoded example once."""
        check_choice("goal", goal, GOALS)
        sign = 1.0 if goal == "maximize" else -1.0
        index = np.flatnonzero(self.is_valid)
        index = index[np.argsort(-sign * self.recomputed[index], kind="stable")]
        first: dict[Hashable, int] = {}
        for i in index.tolist():
            first.setdefault(self.decoded[i], i)
        return self.select(np.array(list(first.values())[:number], int))

    def rows(self) -> list[dict[str, Any]]:
        """One dictionary for each candidate, of Python values; NaN becomes None."""
        columns = {name: getattr(self, name).tolist() for name in COLUMNS}
        return [
            {name: _none_if_nan(column[i]) for name, column in columns.items()}
            for i in range(len(self))
        ]


COLUMNS = tuple(field.name for field in dataclasses.fields(Candidates) if field.name != "z")
TEXTS = ("method", "start_decoded", "decoded")
INTEGERS = ("round", "start")
FLAGS = ("in_training", "is_duplicate")


def concatenate(tables: Sequence[Candidates]) -> Candidates:
    """The candidates of all tables."""
    columns = {name: np.concatenate([getattr(table, name) for table in tables]) for name in COLUMNS}
    codes = [table.z for table in tables if table.z is not None]
    z = np.concatenate(codes) if len(codes) == len(tables) else None
    return Candidates(**columns, z=z)


def mark_duplicates(decoded: Sequence[Hashable | None]) -> np.ndarray:
    """True, [M], for what equals an earlier entry; None equals nothing.

    >>> mark_duplicates(["C", None, "O", "C", None]).tolist()
    [False, False, False, True, False]
    """
    seen: set[Hashable] = set()
    flags = np.zeros(len(decoded), bool)
    for i, entry in enumerate(decoded):
        flags[i] = entry is not None and entry in seen
        seen.add(entry)
    return flags


def summarize(
    candidates: Candidates, best_training: float, *, goal: Goal = "maximize"
) -> dict[str, float]:
    """The summary of a search, the line that tells a gain from a fooled predictor.

    Returns:
      `num_candidates`; `best_recomputed`, the best recomputed value, and `best_new`, the best that
      is not in the training data; `best_training` as given; `best_predicted`; `prediction_gap`, the
      mean of predicted minus recomputed over valid candidates, positive if the predictor promises
      too much of a value to maximize, with its standard error; the shares `validity`, `duplicates`
      (of the valid) and `in_training` (of the valid), with binomial standard errors;
      `training_distance`, the median. A number that no candidate has is NaN.
    """
    check_choice("goal", goal, GOALS)
    best = np.max if goal == "maximize" else np.min
    valid = candidates.select(candidates.is_valid)
    none = Estimate(math.nan, math.nan)
    has_any = len(valid) > 0
    estimates = {
        "prediction_gap": mean_estimate(valid.predicted - valid.recomputed) if has_any else none,
        "validity": share_estimate(candidates.is_valid) if len(candidates) else none,
        "duplicates": share_estimate(valid.is_duplicate) if has_any else none,
        "in_training": share_estimate(valid.in_training) if has_any else none,
    }
    new = valid.recomputed[~valid.in_training]
    numbers: dict[str, float] = {
        "num_candidates": len(candidates),
        "best_recomputed": _or_nan(best, valid.recomputed),
        "best_new": _or_nan(best, new),
        "best_training": float(best_training),
        "best_predicted": _or_nan(best, candidates.predicted),
        "training_distance": _or_nan(np.median, candidates.distance),
    }
    for name, estimate in estimates.items():
        numbers |= {name: estimate.value, f"{name}_stderr": estimate.stderr}
    return numbers


def _or_nan(statistic: Any, values: np.ndarray) -> float:
    return float(statistic(values)) if len(values) else math.nan


def _none_if_nan(value: Any) -> Any:
    return None if isinstance(value, float) and math.isnan(value) else value


def write_candidates(path: Path, candidates: Candidates) -> None:
    """Write the table as CSV, without z; a missing entry is empty."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(candidates.rows())
    write_atomically(path, text.getvalue().encode())


def read_candidates(path: Path) -> Candidates:
    """Read a file of `write_candidates`; raises InputError for any other file."""
    try:
        reader = csv.DictReader(io.StringIO(path.read_text(encoding="utf-8")))
        rows = list(reader)
        if set(reader.fieldnames or ()) != set(COLUMNS):
            raise ValueError(f"its columns are not {', '.join(COLUMNS)}")
        columns = {name: _parse(name, [row[name] for row in rows]) for name in COLUMNS}
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise InputError.of("path", str(path), f"holds no candidates ({error})") from error
    return Candidates(**columns)


def _parse(name: str, entries: Sequence[str]) -> np.ndarray:
    if name in TEXTS:
        return as_texts([entry or None for entry in entries])
    if name in FLAGS:
        return np.array([{"True": True, "False": False}[entry] for entry in entries], bool)
    if name in INTEGERS:
        return np.array([int(entry) for entry in entries], int)
    return np.array([float(entry) if entry else math.nan for entry in entries])


def as_texts(entries: Sequence[Any]) -> np.ndarray:
    """An array [M] of objects, also if their lengths differ."""
    column = np.empty(len(entries), object)
    column[:] = list(entries)
    return column


def best_value(values: np.ndarray, goal: Goal) -> float:
    """The best of values [N]."""
    return float(np.max(values) if goal == "maximize" else np.min(values))
