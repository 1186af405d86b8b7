"""Searches from the training data, and the random searches that they must beat."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vae_jax.evaluation.search.ascent import ascend
from vae_jax.evaluation.search.candidates import Candidates, Goal
from vae_jax.evaluation.search.predictor import Predictor
from vae_jax.evaluation.search.reference import Decode, Reference
from vae_jax.types import Array

SamplePrior = Callable[[Array, int], Array]  # (key, M) -> z [M, D]


def sign_of(goal: Goal) -> float:
    """1 for a value to maximize, -1 for one to minimize."""
    return 1.0 if goal == "maximize" else -1.0


def best_rows(values: np.ndarray, number: int, goal: Goal) -> np.ndarray:
    """The rows [number] of the best values [N], the best first; from the start again beyond N."""
    order = np.argsort(-sign_of(goal) * np.asarray(values), kind="stable")
    return np.resize(order[:number], number)


def search_by_ascent(
    reference: Reference,
    predictor: Predictor,
    decode: Decode,
    starts: np.ndarray,
    *,
    goal: Goal = "maximize",
    num_steps: int = 100,
    step_size: float,
    log_density: Callable[[Array], Array] | None = None,
    weight: float = 0.0,
    max_distance: float | None = None,
) -> Candidates:
    """Gradient ascent of the prediction from rows `starts` [M] of the reference, see `ascend`."""
    sign = sign_of(goal)
    start = jnp.asarray(reference.z[starts], jnp.float32)
    z = np.asarray(
        ascend(
            lambda z: sign * predictor.predict(z),
            start,
            num_steps=num_steps,
            step_size=step_size,
            log_density=log_density,
            weight=weight,
            max_distance=max_distance,
        ).z
    )
    return reference.tabulate("ascent", z, decode(z), predict(predictor, z), start=starts)


def predict(predictor: Predictor, z: Any) -> np.ndarray:
    """The predictions [M] at codes z [M, D]."""
    return np.asarray(predictor.predict(jnp.asarray(z, jnp.float32)))


def search_at_random(
    key: Array,
    reference: Reference,
    predictor: Predictor,
    decode: Decode,
    starts: np.ndarray,
    distances: np.ndarray,
) -> Candidates:
    """The control of an ascent: steps of the same lengths from the same starts, but at random.

    Args:
      key: PRNG key of the directions, which are uniform on the sphere.
      reference: the training codes.
      predictor: for the predicted values.
      decode: z [M, D] -> what the codes decode to.
      starts: rows of the reference, [M].
      distances: from the start to the candidate, [M].
    """
    start = np.asarray(reference.z[starts], np.float32)
    direction = np.asarray(jax.random.normal(key, start.shape, jnp.float32))
    scale = np.asarray(distances) / np.linalg.norm(direction, axis=1)
    z = start + scale.astype(np.float32)[:, None] * direction
    return reference.tabulate("neighbors", z, decode(z), predict(predictor, z), start=starts)


def search_prior(
    key: Array,
    reference: Reference,
    predictor: Predictor,
    decode: Decode,
    sample_prior: SamplePrior,
    number: int,
) -> Candidates:
    """The control of any search: `number` draws z [number, D] from the prior, and their values."""
    z = np.asarray(sample_prior(key, number))
    return reference.tabulate("prior", z, decode(z), predict(predictor, z))
