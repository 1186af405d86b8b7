"""beta-TCVAE: a decomposition of the rate into three parts, estimated within a batch."""

import jax.numpy as jnp
from jax.scipy.special import logsumexp

from vae_jax.distributions import DiagGaussian
from vae_jax.distributions.base import allow_broadcasting
from vae_jax.objectives.requirements import diag_gaussian
from vae_jax.objectives.terms import bound_metrics, per_example_terms
from vae_jax.types import Array, Metrics, Outputs, Scalar


def uniform_log_weights(batch_size: int, num_examples: int) -> Array:
    """Log 1 / (N B) everywhere, [B, B]: minibatch-weighted sampling (Chen et al., appendix C.1).

    Its estimate of q(z) is too low.
    """
    return jnp.full(
        (batch_size, batch_size), -jnp.log(float(num_examples * batch_size)), jnp.float32
    )


def stratified_log_weights(batch_size: int, num_examples: int) -> Array:
    """Log weights [B, B] of minibatch stratified sampling, unbiased for q(z) (appendix C.2).

    A draw z_i of example i has q(z_i) = (1/N) q(z_i | x_i) + (1 - 1/N) mean_{n != i} q(z_i | x_n).
    The first term is known, and the rest of the batch estimates the mean: weights 1/N on the
    diagonal and (1 - 1/N) / (B - 1) off it. Rows sum to one. The paper weights the rest unequally.
    Equal weights have the same mean, less variance, and are exact if the batch is the data set.
    """
    diagonal = jnp.float32(1 / num_examples)
    off_diagonal = (1 - 1 / num_examples) / (batch_size - 1)
    return jnp.log(jnp.where(jnp.eye(batch_size, dtype=bool), diagonal, off_diagonal))


@allow_broadcasting
def aggregate_log_densities(
    posterior: DiagGaussian, z: Array, log_weights: Array
) -> tuple[Array, Array]:
    """Estimates of log q(z_i) [..., B] and of log q(z_id) per dimension d [..., B, D], nats.

        q(z_i) = sum_j W_ij q(z_i | x_j)        q(z_id) = sum_j W_ij q(z_id | x_j)

    Args:
      posterior: q(z | x_j), factorized, over [B', D].
      z: [..., B, D].
      log_weights: log W, [B, B'].
    """
    pairwise = posterior.log_prob_terms(z[..., :, None, :])  # [..., B, B', D]
    joint = logsumexp(pairwise.sum(-1) + log_weights, axis=-1)
    return joint, logsumexp(pairwise + log_weights[..., None], axis=-2)


def beta_tc(
    outputs: Outputs,
    *,
    num_examples: int,
    mi_weight: Scalar = 1.0,
    tc_weight: Scalar = 6.0,
    dim_weight: Scalar = 1.0,
    stratified: bool = True,
) -> tuple[Array, Metrics]:
    """The negative ELBO, its rate in three weighted parts (Chen et al., 2018, arXiv:1802.04942).

        loss = D + a MI + b TC + c KL_dim
        MI     = E[log q(z | x) - log q(z)]             index-code mutual information
        TC     = E[log q(z) - sum_d log q(z_d)]         total correlation
        KL_dim = E[sum_d log q(z_d) - log p(z)]         dimension-wise KL

    with the aggregate posterior q(z) = (1/N) sum_n q(z | x_n) of all N data, estimated from the
    batch. The three sum to the Monte Carlo rate of each draw. a = b = c = 1 is the ELBO. b is the
    beta of the paper.

    Args:
      outputs: the terms of one pass, [K, B]; each of the K draws has its own estimate.
      num_examples: N, of the training data.
      mi_weight: a.
      tc_weight: b.
      dim_weight: c.
      stratified: use `stratified_log_weights`. The alternative is `uniform_log_weights`, with which
        MI and TC are too high by up to log N and (D - 1) log N, and KL_dim is too low by up to
        D log N: their gradients are useful, their values are not.

    Returns:
      loss [] and the metrics `loss, elbo, distortion, rate, mi, tc, dim_kl`.

    Raises:
      ValueError: a posterior that isn't a diagonal Gaussian over [B, D]; a batch of one, or one
        larger than the data.
    """
    posterior = diag_gaussian("beta_tc", outputs)
    batch_size = outputs.z.shape[1]
    if not 2 <= batch_size <= num_examples:
        raise ValueError(
            f"batch size = {batch_size}: must be at least 2 and at most num_examples = "
            f"{num_examples} for beta_tc"
        )
    weights_fn = stratified_log_weights if stratified else uniform_log_weights
    log_qz, log_qz_d = aggregate_log_densities(
        posterior, outputs.z, weights_fn(batch_size, num_examples)
    )
    log_product = log_qz_d.sum(-1)
    mi = (outputs.log_qz_x - log_qz).mean()
    tc = (log_qz - log_product).mean()
    dim_kl = (log_product - outputs.log_pz).mean()
    distortion, _ = per_example_terms(outputs)
    loss = distortion.mean() + mi_weight * mi + tc_weight * tc + dim_weight * dim_kl
    return loss, bound_metrics(loss, outputs) | {"mi": mi, "tc": tc, "dim_kl": dim_kl}
