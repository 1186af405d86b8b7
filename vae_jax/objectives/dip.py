"""DIP-VAE: a penalty that pulls the covariance of the latents to the identity."""

import jax.numpy as jnp

from vae_jax.objectives.requirements import diag_gaussian
from vae_jax.objectives.terms import bound_metrics, per_example_terms
from vae_jax.types import Array, Metrics, Outputs, Scalar


def dip_i(
    outputs: Outputs, *, off_diagonal_weight: Scalar = 10.0, diagonal_weight: Scalar = 100.0
) -> tuple[Array, Metrics]:
    """The negative ELBO plus a penalty on C = Cov[E[z | x]], the covariance of posterior means.

        loss = D + R + a sum_{i != j} C_ij^2 + b sum_i (C_ii - 1)^2

    Kumar et al., 2018, arXiv:1711.00848 (DIP-VAE-I, where b = 10 a). Covariances are over the
    batch, with 1/B. a = b = 0 is the ELBO.

    Args:
      outputs: the terms of one pass, [K, B].
      off_diagonal_weight: a.
      diagonal_weight: b.

    Returns:
      loss [] and the metrics `loss, elbo, distortion, rate, off_diagonal, diagonal`; the last two
      are the sums without their weights.

    Raises:
      ValueError: a posterior that isn't a diagonal Gaussian over [B, D].
    """
    covariance = _covariance(diag_gaussian("dip_i", outputs).mean)
    return _penalize(outputs, covariance, off_diagonal_weight, diagonal_weight)


def dip_ii(
    outputs: Outputs, *, off_diagonal_weight: Scalar = 10.0, diagonal_weight: Scalar = 10.0
) -> tuple[Array, Metrics]:
    """`dip_i` with C = Cov[z] = E[Cov[z | x]] + Cov[E[z | x]] (DIP-VAE-II, where b = a).

    Returns the loss [], in nats per example, and the metrics of `dip_i`.

    Raises:
      ValueError: a posterior that isn't a diagonal Gaussian over [B, D].
    """
    posterior = diag_gaussian("dip_ii", outputs)
    variances = jnp.broadcast_to(jnp.exp(posterior.logvar), posterior.mean.shape)
    covariance = jnp.diag(variances.mean(0)) + _covariance(posterior.mean)
    return _penalize(outputs, covariance, off_diagonal_weight, diagonal_weight)


def paper_diagonal_weight(kind: int, off_diagonal_weight: Scalar) -> Scalar:
    """The scalar b that Kumar et al. use with a: 10 a for DIP-VAE-I, a for DIP-VAE-II."""
    return {1: 10.0, 2: 1.0}[kind] * off_diagonal_weight


def _covariance(x: Array) -> Array:
    """The covariance [D, D] of the rows of x [B, D]."""
    centered = x - x.mean(0, keepdims=True)
    return jnp.einsum("bi,bj->ij", centered, centered, precision="highest") / len(x)


def _penalize(
    outputs: Outputs, covariance: Array, off_diagonal_weight: Scalar, diagonal_weight: Scalar
) -> tuple[Array, Metrics]:
    variances = jnp.diag(covariance)
    off_diagonal = jnp.square(covariance - jnp.diag(variances)).sum()
    diagonal = jnp.square(variances - 1).sum()
    distortion, rate = (term.mean() for term in per_example_terms(outputs))
    loss = distortion + rate + off_diagonal_weight * off_diagonal + diagonal_weight * diagonal
    return loss, bound_metrics(loss, outputs) | {"off_diagonal": off_diagonal, "diagonal": diagonal}
