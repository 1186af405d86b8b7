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

MAX_LOGVAR = 50.0  # beyond it float32 does not hold the ratio of two densities
_BLOCK = 1024  # components at a time, for memory, and for the precision of sums in float32


def mig_chen(
    mean: np.ndarray,
    logvar: np.ndarray,
    factors: np.ndarray,
    *,
    which: Sequence[int] | None = None,
    num_samples: int = 10_000,
    seed: Seed = 0,
) -> float:
    """Mutual information gap of samples of the posterior, under the exact aggregate posterior.

    With q(z_j | x_n) = Normal(mean_nj, exp logvar_nj), and X_v the images that have value v of factor k, of S_k values,

        q(z_j) = mean_{n} q(z_j | x_n),    q(z_j | v) = mean_{n in X_v} q(z_j | x_n),
        I_jk = H[q(z_j)] - mean_v H[q(z_j | v)],    MIG = mean_k (I_(1)k - I_(2)k) / ln S_k,

    the entropies H by Monte Carlo: every image has one sample, and H is -mean ln q of those of `num_samples` images of the
    mixture, drawn without replacement; of all of them where there are fewer. Negative I_jk count 0. Chen et al., 2018,
    https://arxiv.org/abs/1802.04942, and its code. `mig_locatello` is another number. For dSprites the paper leaves shape
    out: `which=(1, 2, 3, 4)`. A lone code has one without information for its runner-up.

    Args:
      mean: [N, D], of the posterior of every image of a full grid.
      logvar: [N, D].
      factors: integers [N, F]; every combination of values equally often, else q(z_j | v) is not what it is said to be.
      which: factors the mean is over; all by default. The others vary within X_v.
      num_samples: of each mixture.
      seed: of images and samples.

    Raises:
      InputError: the factors aren't a full grid, or a log-variance is beyond +-50.
    """
    check_range("num_samples", num_samples, 1)
    mean, factors = validate_codes(mean, factors)
    logvar = finite("logvar", logvar)
    _check_grid(factors)
    _check_logvar(logvar, mean.shape)
    which = range(factors.shape[1]) if which is None else _checked_which(which, factors.shape[1])
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
    """-E[ln q(z_j)] in nats, [D], of the mixture of the Gaussians [N, D], from samples made with the noise [N, D]."""
    which = sample_indices(len(mean), num_samples, rng)
    noise = noise[which]
    z = mean[which] + np.exp(0.5 * logvar[which]) * noise
    # Relative to the density of the sample's own component, whose term becomes 1: the sum neither vanishes nor overflows.
    own = -0.5 * np.square(noise) - 0.5 * logvar[which]
    total = _sum_of_densities(*(np.float32(values.T) for values in (z, own, mean, logvar)))
    log_q = (
        np.log(np.asarray(total, np.float64))
        + own.T
        - math.log(len(mean))
        - 0.5 * math.log(2 * math.pi)
    )
    return -log_q.mean(axis=1)


@jax.jit
def _sum_of_densities(z: Array, own: Array, mean: Array, logvar: Array) -> Array:
    """sum_n exp(-(z - mean_n)^2 / (2 var_n) - logvar_n / 2 - own), [D, S], of samples [D, S] and components [D, N]."""
    rest = ((0, 0), (0, -mean.shape[1] % _BLOCK))
    padded = (
        jnp.pad(mean, rest),
        jnp.pad(logvar, rest, constant_values=jnp.inf),
    )  # of no density anywhere
    blocks = [values.reshape(len(values), -1, _BLOCK).swapaxes(0, 1) for values in padded]

    def add(total: Array, block: tuple[Array, Array]) -> tuple[Array, None]:
        mean, logvar = (values[:, None, :] for values in block)
        scaled = (z[:, :, None] - mean) * jnp.exp(-0.5 * logvar)
        return total + jnp.exp(-0.5 * (jnp.square(scaled) + logvar) - own[:, :, None]).sum(
            axis=-1
        ), None

    return jax.lax.scan(add, jnp.zeros_like(z), blocks)[0]


def _check_grid(factors: np.ndarray) -> None:
    sizes = [int(size) for size in factors.max(axis=0) + 1]
    cells = math.prod(sizes)
    if len(factors) % cells == 0:
        counts = np.bincount(np.ravel_multi_index(tuple(factors.T), sizes), minlength=cells)
        if (counts == counts[0]).all():
            return
    raise InputError(
        f"factors: {len(factors)} examples are no full grid of sizes {sizes}; every combination must occur equally often"
    )


def _check_logvar(logvar: np.ndarray, shape: tuple[int, ...]) -> None:
    if logvar.shape != shape:
        raise InputError(f"logvar: shape {logvar.shape}, must be that of the mean, {shape}")
    if np.abs(logvar).max() > MAX_LOGVAR:
        raise InputError(
            f"logvar: greatest magnitude {np.abs(logvar).max():g}, must be at most {MAX_LOGVAR:g}"
        )


def _checked_which(which: Sequence[int], num_factors: int) -> list[int]:
    which = [int(k) for k in which]
    if not which or len(set(which)) != len(which) or min(which) < 0 or max(which) >= num_factors:
        raise InputError(f"which = {which}: must be different factors of 0..{num_factors - 1}")
    return which
