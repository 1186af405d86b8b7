"""Shared by all objectives: the terms of the bound, and the metrics of every training log."""

import jax.numpy as jnp
import numpy as np

from vae_jax.distributions import SideBySide, kl_terms
from vae_jax.types import Array, Metrics, Outputs


def per_example_terms(outputs: Outputs) -> tuple[Array, Array]:
    """Distortion -E_q[log p(x | z)] and rate KL(q(z | x) || p(z)), each [B], in nats.

    Averages over K. The rate is in closed form if available, else the mean of
    log q(z | x) - log p(z).
    """
    distortion = -outputs.log_px_z.mean(0)
    rate = outputs.kl if outputs.kl is not None else (outputs.log_qz_x - outputs.log_pz).mean(0)
    return distortion, rate


def log_weights(outputs: Outputs) -> Array:
    """Log w = log p(x | z) + log p(z) - log q(z | x), [K, B], nats."""
    return outputs.log_px_z + outputs.log_pz - outputs.log_qz_x


def bound_metrics(loss: Array, outputs: Outputs) -> Metrics:
    """`loss` [], and the plain beta = 1 bound with its parts, each [], nats per example."""
    distortion, rate = (term.mean() for term in per_example_terms(outputs))
    return {
        "loss": jnp.asarray(loss),
        "elbo": -(distortion + rate),
        "distortion": distortion,
        "rate": rate,
    }


def dimension_rates(outputs: Outputs) -> Array:
    """KL(q(z_d | x) || p(z_d)) in closed form, [B, D'], nats.

    D' = D, except that a categorical variable counts as one. Averaged over K if posterior and prior
    depend on the draws. Raises TypeError if the KL of each dimension has no closed form.
    """
    terms = kl_terms(outputs.posterior, outputs.prior)
    return terms.mean(0) if terms.ndim == 3 else terms


def layer_rates(outputs: Outputs) -> Array:
    """KL of each stochastic layer, [L, B], nats: `dimension_rates` summed over its part of D.

    In a hierarchy without a closed form for its top, the mean over K of log q(z_l) - log p(z_l) of
    each layer, so that their sum is the rate. Raises TypeError for one layer without a closed form.
    """
    edges, p = np.cumsum(outputs.layers)[:-1], outputs.prior
    if not isinstance(p, SideBySide):
        terms = dimension_rates(outputs)
        return jnp.stack([part.sum(-1) for part in jnp.split(terms, edges, axis=-1)])
    log_q = jnp.split(outputs.posterior.log_prob_terms(outputs.z), edges, axis=-1)
    pairs = zip(log_q, p.block_log_probs(outputs.z), strict=True)
    return jnp.stack([(terms.sum(-1) - log_p).mean(0) for terms, log_p in pairs])
