"""Bayesian optimization: rounds of proposals whose recomputed values the next round knows."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from vae_jax.errors import check_range
from vae_jax.evaluation.common import choose_examples
from vae_jax.evaluation.search.acquisition import propose
from vae_jax.evaluation.search.candidates import Candidates, Goal
from vae_jax.evaluation.search.covariance import Hyperparameters, double_precision
from vae_jax.evaluation.search.gaussian_process import GaussianProcess, fit_gaussian_process
from vae_jax.evaluation.search.methods import SamplePrior, best_rows, sign_of
from vae_jax.evaluation.search.reference import Decode, Decoded, Reference
from vae_jax.types import Array

FIT_STEPS = 60  # of the hyper-parameters before the first round
REFIT_STEPS = 10  # after each round


def search_by_rounds(
    key: Array,
    reference: Reference,
    decode: Decode,
    sample_prior: SamplePrior,
    *,
    goal: Goal = "maximize",
    num_candidates: int = 100,
    num_rounds: int = 5,
    num_points: int = 1_000,
    num_starts: int = 100,
    num_steps: int = 50,
    step_size: float = 0.1,
    max_distance: float | None = None,
    kernel: str = "matern52",
) -> Candidates:
    """Search with a Gaussian process and expected improvement, in rounds.

    The process knows `num_points` training codes: the better half of them the best of all, the
    others a random choice, always the same. Each round climbs log EI from `num_starts` codes, half
    of them the best training codes that gave no candidate before, half draws of the prior, and
    takes a batch by `choose`. It decodes the batch and adds the *recomputed* values to the process.
    What decodes to nothing valid is added with the worst value known, so that the search stays away
    from it. Hyper-parameters are fitted to the training codes, and again after each round. All of
    it is computed in 64 bits.

    Args:
      key: PRNG key of the draws of the prior.
      reference: the training codes.
      decode: z [M, D] -> what the codes decode to.
      sample_prior: (key, M) -> z [M, D].
      goal: "maximize" or "minimize" the value.
      num_candidates: M, of all rounds.
      num_rounds: number of rounds, of about as many candidates each, at most M.
      num_points: training codes that the process knows, at most 2,000 with all candidates.
      num_starts: of the climbs of a round, at least the number of its candidates.
      num_steps: of each climb.
      step_size: of a climb, see `ascend`.
      max_distance: of a climb from its start; None means no limit.
      kernel: "matern52" or "rbf".

    Returns:
      M candidates, whose `start` is the row of the training code if the climb began at one.
    """
    check_range("num_candidates", num_candidates, 1)
    check_range("num_rounds", num_rounds, 1, num_candidates)
    check_range("num_points", num_points, 2)
    sizes = [len(part) for part in np.array_split(np.arange(num_candidates), num_rounds)]
    check_range("num_starts", num_starts, sizes[0])
    sign = sign_of(goal)
    rows = choose_points(reference.values, num_points, goal)
    z = np.asarray(reference.z, np.float64)[rows]
    values = sign * np.asarray(reference.values, np.float64)[rows]
    climb = {"num_steps": num_steps, "step_size": step_size, "max_distance": max_distance}
    capacity = len(z) + num_candidates
    process, batches = _fit(z, values, kernel, capacity), []
    order = np.argsort(-values, kind="stable")
    for number, size in enumerate(sizes):
        best = order[: num_starts // 2]
        draws = sample_prior(jax.random.fold_in(key, number), num_starts - len(best))
        starts = np.concatenate([z[best], draws])
        proposed, index, mean, stddev = _propose(process, starts, values.max(), size, climb)
        decoded = decode(proposed)
        start = np.concatenate([rows[best], np.full(len(draws), -1)])[index]
        order = order[~np.isin(rows[order], start)]
        batches.append(_Batch(proposed, decoded, sign * mean, stddev, start))
        z = np.concatenate([z, proposed])
        values = add_values(values, sign * np.asarray(decoded.values, np.float64))
        if number + 1 < num_rounds:
            process = _fit(z, values, kernel, capacity, process.hyperparameters)
    return _tabulate(reference, batches)


def _propose(
    process: GaussianProcess,
    starts: np.ndarray,
    best: float,
    number: int,
    climb: dict[str, Any],
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Codes, indices of their starts, and the mean and deviation predicted for them."""
    with double_precision():
        z, index = propose(process, jnp.asarray(starts), best, number, **climb)
        mean, stddev = process.posterior(jnp.asarray(z))
        return z, index, np.asarray(mean), np.asarray(stddev)


class _Batch(NamedTuple):
    z: np.ndarray
    decoded: Decoded
    mean: np.ndarray
    stddev: np.ndarray
    start: np.ndarray


def _fit(
    z: np.ndarray,
    values: np.ndarray,
    kernel: str,
    capacity: int,
    start: Hyperparameters | None = None,
) -> GaussianProcess:
    steps = FIT_STEPS if start is None else REFIT_STEPS
    options: Any = {"kernel": kernel, "capacity": capacity, "num_steps": steps}
    with double_precision():
        return fit_gaussian_process(z, values, start=start, **options)


def _tabulate(reference: Reference, batches: Sequence[_Batch]) -> Candidates:
    sizes = [len(batch.z) for batch in batches]
    examples = [example for batch in batches for example in batch.decoded.examples]
    return reference.tabulate(
        "bayesian",
        np.concatenate([batch.z for batch in batches]),
        Decoded(examples, np.concatenate([batch.decoded.values for batch in batches])),
        np.concatenate([batch.mean for batch in batches]),
        predicted_stddev=np.concatenate([batch.stddev for batch in batches]),
        start=np.concatenate([batch.start for batch in batches]),
        rounds=np.repeat(np.arange(len(batches)), sizes),
    )


def add_values(values: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Values [N] to maximize, then new ones [M]; NaN, of an invalid candidate, becomes the worst.

    >>> add_values(np.array([3.0, 1.0]), np.array([2.0, np.nan])).tolist()
    [3.0, 1.0, 2.0, 1.0]
    """
    return np.concatenate([values, np.where(np.isfinite(new), new, values.min())])


def choose_points(values: np.ndarray, number: int, goal: Goal = "maximize") -> np.ndarray:
    """Rows of values [N] that a Gaussian process is fitted to, ascending, at most `number`.

    Half of them are the best, the others a random choice of the rest, always the same.
    """
    if len(values) <= number:
        return np.arange(len(values))
    best = best_rows(values, number // 2, goal)
    rest = np.setdiff1d(np.arange(len(values)), best)
    return np.sort(np.concatenate([best, rest[choose_examples(len(rest), number - len(best))]]))
