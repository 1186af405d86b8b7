"""A linear VAE against probabilistic PCA, whose optimum has a closed form.

For x in R^d with covariance S = sum_i l_i u_i u_i^T over the training split, l_1 >= l_2 >= ..., and
D latents, the maximum of the likelihood of N(mu, W W^T + sigma^2 I) has (Tipping and Bishop, 1999)

    sigma^2 = mean(l_D+1, ..., l_d)        W = U_D (L_D - sigma^2 I)^(1/2) R

up to a rotation R, and the log-likelihood -1/2 sum_i [log 2 pi s_i + l_i / s_i] per example with
s_i = l_i for i <= D, else sigma^2. At a fixed sigma^2 the axes with l_i <= sigma^2 have no latent:
as many latents collapse onto the prior. The ELBO of a linear VAE has the same optimum, and is tight
there (Lucas et al., 2019, arXiv:1911.02469).
"""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vae_jax.distributions import Distribution
from vae_jax.errors import InputError
from vae_jax.evaluation.scan import full_float32
from vae_jax.models.base import Model
from vae_jax.types import Array, Params

NEGLIGIBLE = 0.02  # nats: a latent with a smaller mean KL has collapsed


@dataclasses.dataclass(frozen=True)
class Ppca:
    """The optimum of probabilistic PCA."""

    log_likelihood: float  # per example, nats
    axes: np.ndarray  # [d, active], orthonormal
    variance: float  # sigma^2

    @classmethod
    def fit(cls, x: np.ndarray, latent_dim: int, variance: float | None = None) -> "Ppca":
        """The optimum for x [N, d] with `latent_dim` D < d latents, at a fixed sigma^2 if given.

        Raises:
          InputError: sigma^2 is learned and has no optimum above 0.

        >>> import numpy as np
        >>> x = np.random.default_rng(0).normal(size=(500, 3)) * [3, 1, 1]
        >>> Ppca.fit(x, 1).axes.shape, Ppca.fit(x, 1, variance=20.0).axes.shape
        ((3, 1), (3, 0))
        """
        if variance is None and latent_dim >= x.shape[1]:
            raise InputError(
                f"ppca: {latent_dim} latents leave nothing to sigma; they must be fewer than the "
                f"{x.shape[1]} entries of x"
            )
        x = np.asarray(x, np.float64)
        values, vectors = np.linalg.eigh(np.cov(x.T, bias=True))
        values, vectors = values[::-1], vectors[:, ::-1]
        variance = float(values[latent_dim:].mean()) if variance is None else variance
        if variance <= len(values) * np.finfo(np.float64).eps * values[0]:
            raise InputError(
                f"ppca: x has no variance beyond {latent_dim} directions, so the optimum of sigma "
                "is 0"
            )
        active = int((values[:latent_dim] > variance).sum())
        spectrum = np.concatenate([values[:active], np.full(len(values) - active, variance)])
        log_likelihood = -0.5 * np.sum(np.log(2 * np.pi * spectrum) + values / spectrum)
        return cls(float(log_likelihood), vectors[:, :active], variance)


def compare_with_ppca(
    model: Model,
    params: Params,
    x: np.ndarray,
    mean: np.ndarray,
    logvar: np.ndarray,
    *,
    has_fixed_sigma: bool = False,
) -> dict[str, Any]:
    """Compare a linear VAE with the optimum for the examples that it was trained on.

    Args:
      model: a VAE with an affine decoder, N(0, I) as its prior and one sigma for all entries of x.
      params: its parameters.
      x: training examples [N, *E].
      mean: mean [N, D] of q(z | x), a diagonal Gaussian.
      logvar: its log-variance, likewise.
      has_fixed_sigma: True if sigma is not learned; the optimum is then that of its value.

    Returns:
      `elbo`, the exact mean of the ELBO over x, and its `optimum`, in nats; `relative_error`,
      (optimum - elbo) / |optimum|; `subspace_angle`, the largest principal angle in radians between
      the columns of the decoder that are used and the axes of the optimum, pi / 2 if their numbers
      differ; `variance` and `optimal_variance`, and `variance_error`, relative; `used_latents` and
      `optimal_latents`.
    """
    x = np.asarray(x, np.float64).reshape(len(x), -1)
    mean, logvar = np.asarray(mean, np.float64), np.asarray(logvar, np.float64)
    offset, weights, variance = _affine_decoder(model, params, mean.shape[1])
    best = Ppca.fit(x, mean.shape[1], variance if has_fixed_sigma else None)
    elbo, kl = _exact_elbo(x, mean, logvar, offset, weights, variance)
    used = kl > NEGLIGIBLE
    return {
        "elbo": elbo,
        "optimum": best.log_likelihood,
        "relative_error": (best.log_likelihood - elbo) / abs(best.log_likelihood),
        "subspace_angle": _largest_angle(weights[:, used], best.axes),
        "variance": variance,
        "optimal_variance": best.variance,
        "variance_error": abs(variance / best.variance - 1),
        "used_latents": int(used.sum()),
        "optimal_latents": best.axes.shape[1],
        "latents_difference": int(used.sum()) - best.axes.shape[1],
    }


def _affine_decoder(
    model: Model, params: Params, latent_dim: int
) -> tuple[np.ndarray, np.ndarray, float]:
    """The b [d], W [d, D] and sigma^2 of p(x | z) = N(W z + b, sigma^2 I)."""
    z = jnp.concatenate([jnp.zeros((1, latent_dim)), jnp.eye(latent_dim)])
    p = _decode(model, params, z)
    means = np.asarray(p.mean, np.float64).reshape(latent_dim + 1, -1)
    density = np.asarray(p.log_prob_terms(p.mean), np.float64).mean()  # -log sqrt(2 pi sigma^2)
    variance = float(np.exp(-2 * density) / (2 * np.pi))
    return means[0], (means[1:] - means[0]).T, variance


@functools.partial(jax.jit, static_argnums=0)
@full_float32
def _decode(model: Model, params: Params, z: Array) -> Distribution:
    return model.apply(params, z, method="decode")


def _largest_angle(weights: np.ndarray, axes: np.ndarray) -> float:
    """The largest principal angle between the columns of weights and orthonormal axes [d, n].

    A right angle if their numbers differ: an axis is then missing from the smaller space.
    """
    if weights.shape != axes.shape:
        return np.pi / 2
    basis, _ = np.linalg.qr(weights)
    sine = np.linalg.norm(basis - axes @ (axes.T @ basis), 2) if basis.size else 0.0
    return float(np.arcsin(min(sine, 1.0)))


def _exact_elbo(
    x: np.ndarray,
    mean: np.ndarray,
    logvar: np.ndarray,
    offset: np.ndarray,
    weights: np.ndarray,
    variance: float,
) -> tuple[float, np.ndarray]:
    """The mean of the ELBO over x [N, d] without sampling, and the mean KL [D] of each latent."""
    residual = np.square(x - offset - mean @ weights.T).sum(1)
    spread = np.exp(logvar) @ np.square(weights).sum(0)
    log_px_z = -0.5 * (x.shape[1] * np.log(2 * np.pi * variance) + (residual + spread) / variance)
    kl = 0.5 * (np.square(mean) + np.exp(logvar) - 1 - logvar)
    return float((log_px_z - kl.sum(1)).mean()), kl.mean(0)
