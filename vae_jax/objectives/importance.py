"""Importance-weighted bounds and gradients: IWAE, STL, DReG, MIWAE, PIWAE, CIWAE, Rényi.

All are functions of the K weights w_k = p(x | z_k) p(z_k) / q(z_k | x) of each example. With K = 1
every bound is the ELBO, with the rate by Monte Carlo instead of in closed form.
"""

import dataclasses

import jax
import jax.numpy as jnp
from jax.scipy.special import logsumexp

from vae_jax.objectives.requirements import check_density, check_flat, check_path
from vae_jax.objectives.terms import bound_metrics, log_weights
from vae_jax.types import Array, Metrics, Outputs, Scalar


def log_mean_exp(values: Array, axis: int = 0) -> Array:
    """Log of the mean of exp over an axis, which the result lacks: [K, B] -> [B]."""
    return logsumexp(values, axis=axis) - jnp.log(values.shape[axis])


def iwae(outputs: Outputs) -> tuple[Array, Metrics]:
    """The importance-weighted bound on log p(x) (Burda et al., 2016, arXiv:1509.00519).

        loss = -mean_B log (1/K) sum_k w_k

    It grows with K. Its gradient weights the gradients of log w_k by w_k / sum_j w_j: the best
    sample weighs most.

    Returns:
      loss [] and the metrics `loss, elbo, distortion, rate, bound`; `bound` is maximized, in nats
      per example.

    Raises:
      ValueError: a deterministic posterior.
    """
    check_density("iwae", outputs)
    return _with_metrics(-log_mean_exp(log_weights(outputs)).mean(), outputs)


def stl(outputs: Outputs) -> tuple[Array, Metrics]:
    """`iwae` with the sticking-the-landing gradient (Roeder et al., 2017, arXiv:1703.09194).

    log q(z | x) is differentiated through z alone, without its gradient at a fixed z, the score. If
    q is the exact posterior, the encoder's gradient is zero for every draw. The score has mean zero
    for K = 1 only: for K > 1 the encoder's gradient is biased, unlike in `dreg` (Tucker et
    al., 2019, arXiv:1810.04152, section 4). Returns the loss [] and the metrics of `iwae`.

    Raises:
      ValueError: a deterministic or discrete posterior, or one that depends on the draws, because
        freezing it would cut the path too.
    """
    return _with_metrics(-log_mean_exp(_path_log_weights("stl", outputs)).mean(), outputs)


def dreg(inference: Outputs, generative: Outputs) -> tuple[Array, Metrics]:
    """`iwae` with the doubly reparameterized gradient (Tucker et al., 2019, arXiv:1810.04152).

        encoder    sum_k v_k^2 (d log w_k / d z_k) (d z_k / d phi)        v_k = w_k / sum_j w_j
        the rest   sum_k v_k d log w_k / d theta, as in IWAE

    Unbiased, with a signal-to-noise ratio that grows with K instead of falling. `two_player_pass`
    computes both outputs, with the same key.

    Args:
      inference: outputs with everything but encoder and posterior frozen.
      generative: outputs with encoder and posterior frozen.

    Returns:
      loss [], in nats per example, and the metrics of `iwae`.

    Raises:
      ValueError: a deterministic or discrete posterior, or one that depends on the draws. A prior
        that contains the encoder, as the VampPrior does, gives it gradients that belong to neither
        sum. It isn't allowed, which `two_player_pass` checks.
    """
    log_w = _path_log_weights("dreg", inference)
    squared = jnp.square(jax.lax.stop_gradient(jax.nn.softmax(log_w, axis=0)))
    surrogate = -(squared * log_w).sum(0).mean()
    loss = -log_mean_exp(log_weights(generative)).mean() + _gradient_only(surrogate)
    return _with_metrics(loss, generative)


def miwae(outputs: Outputs, *, groups: int) -> tuple[Array, Metrics]:
    """The mean of M = `groups` importance-weighted bounds of K / M samples each.

        loss = -mean_B (1/M) sum_m log (M/K) sum_{k in group m} w_k

    M = 1 is IWAE, M = K the ELBO (Rainforth et al., 2018, arXiv:1802.04537). Returns the loss [],
    in nats per example, and the metrics of `iwae`.

    Raises:
      ValueError: a deterministic posterior; K is not a multiple of `groups`.
    """
    check_density("miwae", outputs)
    return _with_metrics(-_grouped_bound(outputs, groups), outputs)


def piwae(inference: Outputs, generative: Outputs, *, groups: int) -> tuple[Array, Metrics]:
    """IWAE's gradient for the generative model, MIWAE's for encoder and posterior.

    The value equals IWAE with all K samples; M = 1 is IWAE. Rainforth et al., 2018,
    arXiv:1802.04537. `inference` and `generative` are as in `dreg`, and a prior that contains the
    encoder isn't allowed here either. Returns the loss [] and the metrics of `iwae`.

    Raises:
      ValueError: a deterministic posterior; the posterior of a hierarchy, which shares parameters
        with its prior; K is not a multiple of `groups`.
    """
    check_density("piwae", inference)
    check_flat("piwae", inference)
    surrogate = -_grouped_bound(inference, groups)
    loss = -log_mean_exp(log_weights(generative)).mean() + _gradient_only(surrogate)
    return _with_metrics(loss, generative)


def ciwae(outputs: Outputs, *, elbo_weight: Scalar) -> tuple[Array, Metrics]:
    """The combination b ELBO + (1 - b) IWAE (Rainforth et al., 2018, arXiv:1802.04537).

    b = `elbo_weight` is the beta of the paper. The ELBO is the mean of log w over the same K
    samples. b = 0 is IWAE. Returns the loss [], in nats per example, and the metrics of `iwae`.

    Raises:
      ValueError: a deterministic posterior.
    """
    check_density("ciwae", outputs)
    log_w = log_weights(outputs)
    bound = elbo_weight * log_w.mean(0) + (1 - elbo_weight) * log_mean_exp(log_w)
    return _with_metrics(-bound.mean(), outputs)


def renyi(outputs: Outputs, *, alpha: Scalar) -> tuple[Array, Metrics]:
    """The variational Rényi bound (Li and Turner, 2016, arXiv:1602.02311).

        loss = -mean_B log((1/K) sum_k w_k^(1 - alpha)) / (1 - alpha)

    alpha -> 1 recovers the ELBO, alpha = 0 is IWAE, alpha < 0 may exceed log p(x). Returns the loss
    [], in nats per example, and the metrics of `iwae`.

    Raises:
      ValueError: a deterministic posterior.
    """
    check_density("renyi", outputs)
    return _with_metrics(-power_mean(log_weights(outputs), 1 - jnp.asarray(alpha)).mean(), outputs)


def power_mean(log_w: Array, power: Scalar) -> Array:
    """Log of the power mean, log(mean_K w^t) / t, [K, B] -> [B]; the mean of log w at t = 0."""
    power = jnp.asarray(power, log_w.dtype)
    is_zero = jnp.abs(power) < 1e-12
    t = jnp.where(is_zero, 1.0, power)
    # All exponents are <= 0 relative to the largest. If they are small, log(mean exp) / t would
    # cancel, and expm1 is accurate.
    largest = jax.lax.stop_gradient(jnp.where(t > 0, log_w.max(0), log_w.min(0)))
    exponents = t * (log_w - largest[None])
    near = jnp.log1p(jnp.expm1(exponents).mean(0))
    far = log_mean_exp(exponents)
    return jnp.where(
        is_zero, log_w.mean(0), largest + jnp.where(exponents.min(0) > -0.5, near, far) / t
    )


def _path_log_weights(objective: str, outputs: Outputs) -> Array:
    """Log w with q(z | x) frozen except for its argument, [K, B].

    Its value has the log q of the draws. Only its gradient is from the density at a given z,
    which a flow computes by its inverse, with the inverse's error.
    """
    check_path(objective, outputs)
    log_qz_x = jax.lax.stop_gradient(outputs.posterior).log_prob(outputs.z)
    log_qz_x = jax.lax.stop_gradient(outputs.log_qz_x) + _gradient_only(log_qz_x)
    return log_weights(dataclasses.replace(outputs, log_qz_x=log_qz_x))


def _grouped_bound(outputs: Outputs, groups: int) -> Array:
    """The mean bound over B and groups, []."""
    log_w = log_weights(outputs)
    num_samples, batch_size = log_w.shape
    if groups < 1 or num_samples % groups:
        raise ValueError(
            f"groups = {groups}: must divide the {num_samples} samples of each example"
        )
    return log_mean_exp(log_w.reshape(groups, num_samples // groups, batch_size), axis=1).mean()


def _gradient_only(surrogate: Array) -> Array:
    """Zero, with the gradient of the surrogate."""
    return surrogate - jax.lax.stop_gradient(surrogate)


def _with_metrics(loss: Array, outputs: Outputs) -> tuple[Array, Metrics]:
    return loss, bound_metrics(loss, outputs) | {"bound": -loss}
