"""The evidence lower bound and its variants: VAE, beta-VAE, capacity, free bits."""

from collections.abc import Callable

import jax.numpy as jnp

from vae_jax.distributions import Deterministic, has_kl_terms
from vae_jax.objectives.balance import balanced_rate, layer_free_bits_rate
from vae_jax.objectives.terms import bound_metrics, dimension_rates, per_example_terms
from vae_jax.types import Array, Metrics, Outputs, Scalar


def free_bits_rate(outputs: Outputs, free_bits: Scalar) -> Array:
    """sum_d max(free_bits, mean_B KL_d), [], nats: no gradient below the allowance.

    Kingma et al., 2016, arXiv:1606.04934, appendix C.8, with every dimension its own group.

    Raises:
      ValueError: the KL of each dimension has no closed form.
    """
    if not has_kl_terms(outputs.posterior, outputs.prior):
        raise ValueError(
            "free bits need the KL of each dimension, which has no closed form for "
            f"{type(outputs.posterior).__name__} and {type(outputs.prior).__name__}"
        )
    return jnp.maximum(dimension_rates(outputs).mean(0), free_bits).sum()


OTHER_RATES: dict[str, Callable[[Outputs, Scalar], Array]] = {
    "free_bits": free_bits_rate,
    "layer_free_bits": layer_free_bits_rate,
    "kl_balancing": balanced_rate,
}  # keys: the options of `elbo` that replace the rate


def elbo(
    outputs: Outputs,
    *,
    beta: Scalar = 1.0,
    free_bits: Scalar | None = None,
    capacity: Scalar | None = None,
    kl_balancing: Scalar | None = None,
    layer_free_bits: Scalar | None = None,
) -> tuple[Array, Metrics]:
    """The negative ELBO, with beta, free bits, a capacity, or balanced layers.

        loss = D + beta R            D = -E_q[log p(x | z)],  R = KL(q(z | x) || p(z)), nats
        loss = D + beta |R - C|      with `capacity` C, where beta is the gamma of the paper

    `free_bits` replaces R by sum_d max(free_bits, mean_B R_d), `layer_free_bits` by the same sum
    over layers, and `kl_balancing` by `balanced_rate`. beta = 1 is the VAE.

    Kingma and Welling, 2014, arXiv:1312.6114; Higgins et al., 2017 (beta-VAE); Burgess et al.,
    2018, arXiv:1804.03599 (capacity); Kingma et al., 2016, arXiv:1606.04934 (free bits).

    >>> import jax, jax.numpy as jnp
    >>> from vae_jax import VAE, elbo, likelihoods, nets, posteriors, priors
    >>> model = VAE(nets.MLP((8,)), nets.MLP((8,)), posteriors.DiagGaussianHead(2),
    ...             priors.StandardNormal(2), likelihoods.Gaussian((3,)))
    >>> x, key = jnp.zeros((4, 3)), jax.random.key(0)
    >>> outputs = model.apply(model.init(key, x, key), x, key)
    >>> loss, metrics = elbo(outputs, beta=4.0)
    >>> list(metrics)
    ['loss', 'elbo', 'distortion', 'rate', 'beta']
    >>> bool(jnp.allclose(loss, metrics["distortion"] + 4 * metrics["rate"]))
    True

    Args:
      outputs: the terms of one pass, [K, B].
      beta: weight of the rate; above 1 for disentanglement, below 1 for sharper reconstructions.
      free_bits: nats per latent dimension that cost nothing; needs a closed-form KL.
      capacity: the target rate, in nats; 0 is the plain rate, |R - 0| = R.
      kl_balancing: strength of the balance between the layers of a hierarchy, 0 to 1.
      layer_free_bits: nats per stochastic layer that cost nothing.

    Returns:
      loss [] and the metrics `loss, elbo, distortion, rate, beta` (and `capacity`); `elbo` is the
      plain beta = 1 bound.

    Raises:
      ValueError: a deterministic posterior; free bits without a closed-form KL; more than one
        replacement of R.
    """
    if isinstance(outputs.posterior, Deterministic):
        raise ValueError(
            "a deterministic posterior has an infinite rate, and so no ELBO; use `reconstruction`"
        )
    options = {
        "free_bits": free_bits,
        "layer_free_bits": layer_free_bits,
        "kl_balancing": kl_balancing,
    }
    replacing = {name: value for name, value in options.items() if value is not None}
    if len(replacing) > 1:
        raise ValueError(f"{', '.join(replacing)} each replace the rate: use a single one")
    distortion, rate = (term.mean() for term in per_example_terms(outputs))
    for name, value in replacing.items():
        rate = OTHER_RATES[name](outputs, value)
    if capacity is not None:
        # A Monte Carlo rate can be negative: without the condition, capacity 0 would not be off.
        rate = jnp.where(jnp.asarray(capacity) > 0, jnp.abs(rate - capacity), rate)
    loss = distortion + beta * rate
    metrics = bound_metrics(loss, outputs) | {"beta": jnp.asarray(beta, loss.dtype)}
    if capacity is not None:
        metrics["capacity"] = jnp.asarray(capacity, loss.dtype)
    return loss, metrics
