"""Effects of single latents on the columns of a table."""

import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from vae_jax.distributions import Distribution
from vae_jax.evaluation.table_columns import NamedColumn
from vae_jax.types import Array

RANGE = 2.0  # standard deviations of the codes to each side
NUM_POINTS = 5  # of a traversal


class LatentEffects(NamedTuple):
    """The change of each column as one latent moves; see `latent_effects`."""

    latents: np.ndarray  # [L] numbers of the latents
    change: np.ndarray  # [L, D]
    is_variation: np.ndarray  # [D], True for a total variation, False for standard deviations


def latent_effects(
    decode: Callable[[Array], Distribution],
    codes: np.ndarray,
    latents: Sequence[int],
    *,
    center: np.ndarray,
    stddev: np.ndarray,
    columns: Sequence[NamedColumn],
    column_stddev: np.ndarray,
) -> LatentEffects | None:
    """The change of each column as latent d alone moves over m_d - 2 s_d .. m_d + 2 s_d.

    The remaining latents stay at the codes of R rows, and the mean mu_c(t) and the probabilities
    pi_c(t) of column c at point t of the path are means over these rows. The change is

        (max_t mu_c(t) - min_t mu_c(t)) / sd_c             of numbers and counts,
        max_{t, u} 1/2 sum_k |pi_ck(t) - pi_ck(u)|         of categories, ordinals and booleans,

    that is in standard deviations of the column in the data, or a total variation in 0 .. 1. The
    first has the sign of mu_c(end) - mu_c(start). It is NaN if the column is constant in the data
    or its mean is not finite. None if p(x | z) has no mean.

    Args:
      decode: z [P, R, D_z] -> p(x | z) over [P, R, D].
      codes: [R, D_z] codes of some rows.
      latents: L numbers d.
      center: m [D_z], mean of the codes over the data.
      stddev: s [D_z], their standard deviation.
      columns: the D columns.
      column_stddev: sd [D] of the columns in the data, NaN if unknown.
    """
    is_variation = np.array([column.is_discrete for column in columns])
    num_codes = max(len(column.categories) for column in columns)
    offsets = np.linspace(-RANGE, RANGE, NUM_POINTS)
    changes = []
    for latent in latents:
        path = np.tile(np.asarray(codes, np.float32), (NUM_POINTS, 1, 1))
        path[:, :, latent] = (center[latent] + offsets * stddev[latent])[:, None]
        p = decode(jnp.asarray(path))
        if not p.has_mean:
            return None
        mean, probabilities = _means(p, num_codes=num_codes)
        change = _range(np.asarray(mean, np.float64), column_stddev)
        if num_codes:
            variation = _variation(np.asarray(probabilities, np.float64), columns)
            change = np.where(is_variation, variation, change)
        changes.append(change)
    shape = (len(latents), len(columns))
    return LatentEffects(np.asarray(latents, int), np.reshape(changes, shape), is_variation)


def _range(mean: np.ndarray, stddev: np.ndarray) -> np.ndarray:
    """The signed range [D] of means on a path [P, D], in standard deviations, or NaN."""
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        sign = np.where(mean[-1] >= mean[0], 1.0, -1.0)
        change = sign * (mean.max(0) - mean.min(0)) / np.where(stddev > 0, stddev, np.nan)
    return np.where(np.isfinite(change), change, np.nan)


def _variation(probabilities: np.ndarray, columns: Sequence[NamedColumn]) -> np.ndarray:
    """The largest total variation [D] between two points of probabilities [K, P, D]."""
    variation = np.full(len(columns), np.nan)
    for number, column in enumerate(columns):
        if column.is_discrete:
            pi = probabilities[: len(column.categories), :, number]
            variation[number] = 0.5 * np.abs(pi[:, :, None] - pi[:, None]).sum(0).max()
    return variation


@functools.partial(jax.jit, static_argnames="num_codes")
def _means(p: Distribution, *, num_codes: int) -> tuple[Array, Array]:
    """Means over the rows: of x [P, D], and of the probabilities of the codes [K, P, D]."""
    mean = _flat_mean(p.mean)

    def one_code(code: Array) -> Array:
        return _flat_mean(jnp.exp(p.log_prob_terms(jnp.full(p.mean.shape, code))))

    if not num_codes:
        return mean, jnp.zeros((0, *mean.shape))
    return mean, jax.lax.map(one_code, jnp.arange(num_codes, dtype=jnp.float32))


def _flat_mean(x: Array) -> Array:
    """The mean over rows of x [P, R, *E], as [P, D]."""
    return x.mean(1).reshape(len(x), -1)
