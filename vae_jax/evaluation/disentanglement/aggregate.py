"""MIG of Chen et al. from the aggregate posterior, without bins."""

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from vae_jax.errors import InputError, check_range
from vae_jax.evaluation.disentanglement.information import gap
from vae_jax.evaluation.disentanglement.inputs import Seed, finite, sample_indices, validate_codes
from vae_jax.types import Array

MAX_LOGVAR = 50.0  # beyond it, the ratio of two densities exceeds the range of float32
_BLOCK = 1024  # components at a time: limits memory and rounding errors of sums in float32


def mig_chen(
    mean: np.ndarray,
    logvar: np.ndarray,
    factors: np.ndarray,
    *,
    which: Sequence[int] | None = None,
    num_samples: int = 10_000,
    seed: Seed = 0,
) -> float:
    """Mutual information gap of posterior samples, under the exact aggregate posterior.

    With q(z_j | x_n) = Normal(mean_nj, exp logvar_nj), and X_v the images with value v of factor k,
    which has S_k values,

        q(z_j) = mean_{n} q(z_j | x_n),    q(z_j | v) = mean_{n in X_v} q(z_j | x_n),
        I_jk = H[q(z_j)] - mean_v H[q(z_j | v)],    MIG = mean_k (I_(1)k - I_(2)k) / ln S_k,

    with entropies H by Monte Carlo: every image has one sample, and H is the mean of -ln q over
    `num_samples` images of the mixture (or all), drawn without replacement. Negative I_jk count as
    0. Chen et al., 2018, https://arxiv.org/abs/1802.04942, and its code. `mig_locatello` is a
    different number. For dSprites the paper omits shape: `which=(1, 2, 3, 4)`. The runner-up of a
    single code has no information.

    Args:
      mean: [N, D], posterior means of all images of a full grid.
      logvar: [N, D].
      factors: integers [N, F]; every combination of values must occur equally often, or q(z_j | v)
        would be wrong.
      which: factors to average over, by default all. The remaining factors vary within X_v.
      num_samples: samples of each mixture.
      seed: seed of images and samples.

    Raises:
      InputError: the factors do not form a full grid, or a log-variance is beyond +-50.
    """
    check_range("num_samples", num_samples, 1)
    mean, factors = validate_codes(mean, factors)
    logvar = finite("logvar", logvar)
    _check_grid(factors)
    _check_logvar(logvar, mean.shape)
    which = range(factors.shape[1]) if which is None else _check_which(which, factors.shape[1])
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal(mean.shape)

    def entropy(examples: np.ndarray | slice) -> np.ndarray:
        return _entropy(mean[examples], logvar[examples], noise[examples], num_samples, rng)

    marginal, information = entropy(slice(None)), []
    for column in factors[:, which].T:
        conditional = np.mean(
            [entropy(column == value) for value in range(column.max() + 1)], axis=0
        )
        information.append(np.maximum(marginal - conditional, 0))
    sizes = factors[:, which].max(axis=0) + 1
    return gap(np.stack(information, axis=1), np.log(sizes))


def _entropy(
    mean: np.ndarray,
    logvar: np.ndarray,
    noise: np.ndarray,
    num_samples: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """-E[ln q(z_j)] in nats, [D], of the mixture of Gaussians [N, D], by samples from `noise`."""
    index = sample_indices(len(mean), num_samples, rng)
    noise = noise[index]
    z = mean[index] + np.exp(0.5 * logvar[index]) * noise
    # Relative to the density of the sample's own component, so the sum neither vanishes nor
    # overflows.
    offset = -0.5 * np.square(noise) - 0.5 * logvar[index]
    total = _sum_of_densities(*(np.float32(values.T) for values in (z, offset, mean, logvar)))
    log_total = np.log(np.asarray(total, np.float64))
    log_q = log_total + offset.T - math.log(len(mean)) - 0.5 * math.log(2 * math.pi)
    return -log_q.mean(axis=1)


@jax.jit
def _sum_of_densities(z: Array, offset: Array, mean: Array, logvar: Array) -> Array:
    """sum_n exp(-(z - mean_n)^2 / (2 var_n) - logvar_n / 2 - offset), [D, S].

    Samples are [D, S], components [D, N].
    """
    padding = ((0, 0), (0, -mean.shape[1] % _BLOCK))
    mean = jnp.pad(mean, padding)
    logvar = jnp.pad(logvar, padding, constant_values=jnp.inf)  # zero density
    blocks = [values.reshape(len(values), -1, _BLOCK).swapaxes(0, 1) for values in (mean, logvar)]

    def add(total: Array, block: list[Array]) -> tuple[Array, None]:
        mean, logvar = (values[:, None, :] for values in block)
        scaled = (z[:, :, None] - mean) * jnp.exp(-0.5 * logvar)
        density = jnp.exp(-0.5 * (jnp.square(scaled) + logvar) - offset[:, :, None])
        return total + density.sum(axis=-1), None

    return jax.lax.scan(add, jnp.zeros_like(z), blocks)[0]


def _check_grid(factors: np.ndarray) -> None:
    sizes = [int(size) for size in factors.max(axis=0) + 1]
    cells = math.prod(sizes)
    if len(factors) % cells == 0:
        counts = np.bincount(np.ravel_multi_index(tuple(factors.T), sizes), minlength=cells)
        if (counts == counts[0]).all():
            return
    raise InputError(
        f"factors: {len(factors)} examples are no full grid of sizes {sizes}; every combination "
        "must occur equally often"
    )


def _check_logvar(logvar: np.ndarray, shape: tuple[int, ...]) -> None:
    if logvar.shape != shape:
        raise InputError(f"logvar: shape {logvar.shape}, must equal the shape of the mean, {shape}")
    if np.abs(logvar).max() > MAX_LOGVAR:
        raise InputError(
            f"logvar: greatest magnitude {np.abs(logvar).max():g}, must be at most {MAX_LOGVAR:g}"
        )


def _check_which(which: Sequence[int], num_factors: int) -> list[int]:
    which = [int(k) for k in which]
    if not which or len(set(which)) != len(which) or min(which) < 0 or max(which) >= num_factors:
        raise InputError(f"which = {which}: must be different factors of 0..{num_factors - 1}")
    return which
