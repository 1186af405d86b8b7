"""InfoVAE and Wasserstein autoencoder: MMD, the maximum mean discrepancy of q(z) and p(z)."""

import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from vae_jax.errors import check_choice
from vae_jax.objectives.requirements import check_density, check_flat
from vae_jax.objectives.terms import bound_metrics, per_example_terms
from vae_jax.types import Array, Metrics, Outputs, Scalar

KERNELS = ("rbf", "imq")
SCALES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)  # the kernels that Tolstikhin et al. sum


def kernel_matrix(
    a: Array,
    b: Array,
    *,
    kernel: str = "rbf",
    bandwidth: Scalar = 1.0,
    scales: Sequence[float] = (1.0,),
) -> Array:
    """Sum over scales s of k(a_i, b_j), [N, D] and [M, D] -> [N, M].

        rbf  exp(-|a - b|^2 / (s C))
        imq  s C / (s C + |a - b|^2)          C = 2 D bandwidth^2

    C is the mean squared distance of two draws of N(0, bandwidth^2 I). With the standard deviation
    of the prior as bandwidth, kernels match typical distances in any number of dimensions.
    """
    check_choice("kernel", kernel, KERNELS)
    squared = jnp.square(a[:, None] - b[None]).sum(-1)
    width = 2 * a.shape[-1] * jnp.square(jnp.asarray(bandwidth, squared.dtype))
    if kernel == "rbf":
        values = [jnp.exp(-squared / (scale * width)) for scale in scales]
    else:
        values = [scale * width / (scale * width + squared) for scale in scales]
    return functools.reduce(jnp.add, values)


def squared_mmd(
    a: Array,
    b: Array,
    *,
    kernel: str = "rbf",
    bandwidth: Scalar = 1.0,
    scales: Sequence[float] = (1.0,),
) -> Array:
    """The unbiased estimate of the squared MMD of two samples [N, D] and [M, D], [].

        mean_{i != j} k(a_i, a_j) + mean_{i != j} k(b_i, b_j) - 2 mean_{i, j} k(a_i, b_j)

    Gretton et al., 2012, JMLR 13, lemma 6. Its mean is zero for two samples of one distribution, so
    it may be negative.

    Raises:
      ValueError: a sample of one, which has no pairs; an unknown kernel.
    """
    if min(len(a), len(b)) < 2:
        raise ValueError(
            f"the unbiased MMD of {len(a)} and {len(b)} points: must be at least 2 of each, a "
            "batch of 2 or more"
        )
    options: dict[str, Any] = {"kernel": kernel, "bandwidth": bandwidth, "scales": scales}

    def within(x: Array) -> Array:
        off_diagonal = ~jnp.eye(len(x), dtype=bool)
        total = jnp.where(off_diagonal, kernel_matrix(x, x, **options), 0).sum()
        return total / (len(x) * (len(x) - 1))

    return within(a) + within(b) - 2 * kernel_matrix(a, b, **options).mean()


def prior_mmd(outputs: Outputs, key: Array, **options: Any) -> Array:
    """Squared MMD of the batch's z and an equal number of prior draws, [], averaged over K.

    A conditional prior is sampled once per example. A prior with differentiable samples learns from
    this term.
    """
    num_samples, batch_size, _ = outputs.z.shape
    shape = (num_samples,) if outputs.prior.batch_shape else (num_samples, batch_size)
    draws = outputs.prior.sample(key, shape)
    return jax.vmap(lambda a, b: squared_mmd(a, b, **options))(outputs.z, draws).mean()


def info(
    outputs: Outputs,
    *,
    key: Array,
    info_alpha: Scalar = 1.0,
    mmd_weight: Scalar = 1000.0,
    kernel: str = "rbf",
    bandwidth: Scalar = 1.0,
    scales: Sequence[float] = (1.0,),
) -> tuple[Array, Metrics]:
    """The InfoVAE with MMD (Zhao et al., 2019, arXiv:1706.02262).

        loss = D + (1 - alpha) R + w MMD^2(q(z), p(z))

    w = `mmd_weight` is alpha + lambda - 1 of the paper. alpha = 0 and w = 0 is the ELBO. alpha = 1
    is the MMD-VAE, in which the MMD alone regularizes the posterior.

    Args:
      outputs: the terms of one pass, [K, B].
      key: PRNG key for draws of the prior.
      info_alpha: alpha, the fraction of the rate that is omitted; more makes z more informative.
      mmd_weight: w.
      kernel: "rbf" or "imq", see `kernel_matrix`.
      bandwidth: standard deviation of the prior, which sets the width of the kernel.
      scales: widths of the summed kernels, relative to that width.

    Returns:
      loss [] and the metrics `loss, elbo, distortion, rate, mmd`; `mmd` is squared, unbiased and
      unweighted.

    Raises:
      ValueError: a deterministic posterior, a hierarchical model, a batch of one, or an
        unknown kernel.
    """
    check_density("info", outputs)
    check_flat("info", outputs)
    mmd = prior_mmd(outputs, key, kernel=kernel, bandwidth=bandwidth, scales=scales)
    distortion, rate = (term.mean() for term in per_example_terms(outputs))
    loss = distortion + (1 - info_alpha) * rate + mmd_weight * mmd
    return loss, bound_metrics(loss, outputs) | {"mmd": mmd}


def wae(
    outputs: Outputs,
    *,
    key: Array,
    mmd_weight: Scalar = 10.0,
    kernel: str = "imq",
    bandwidth: Scalar = 1.0,
    scales: Sequence[float] = SCALES,
) -> tuple[Array, Metrics]:
    """The Wasserstein autoencoder with MMD (Tolstikhin et al., 2018, arXiv:1711.01558).

        loss = D + w MMD^2(q(z), p(z))

    D is the negative log-likelihood. With a Gaussian it is the squared error of the paper over
    2 sigma^2, plus a constant. w = 0 is `reconstruction`. The posterior may be deterministic; then
    rate and ELBO are infinite. Arguments and metrics are those of `info`; the loss is [], nats per
    example.

    Raises:
      ValueError: the posterior of a hierarchical model, a batch of one, or an unknown kernel.
    """
    check_flat("wae", outputs)
    mmd = prior_mmd(outputs, key, kernel=kernel, bandwidth=bandwidth, scales=scales)
    distortion, _ = per_example_terms(outputs)
    loss = distortion.mean() + mmd_weight * mmd
    return loss, bound_metrics(loss, outputs) | {"mmd": mmd}
