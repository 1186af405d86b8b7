"""Balanced rates of a hierarchy, so that all layers are used."""

import jax
import jax.numpy as jnp

from vae_jax.objectives.terms import layer_rates
from vae_jax.types import Array, Outputs, Scalar

MIN_RATE = 1e-6  # nats: unused layers weigh the same


def layer_weights(outputs: Outputs) -> Array:
    """gamma_l = L r_l / sum_k r_k, [L], without gradient; r_l = mean_B KL_l / D_l, per dimension.

    Their mean is 1: a layer that carries more for its size than the average costs more. Vahdat and
    Kautz, 2020, arXiv:2007.03898, appendix A, with the KL *divided* by the size of the layer, as in
    their code and in its source, Vahdat et al., 2018, arXiv:1802.04920, appendix H. The authors
    call the multiplication in the text a misprint.
    """
    rates = layer_rates(outputs).mean(1)
    sizes = jnp.asarray(outputs.layers or (outputs.z.shape[-1],), rates.dtype)
    per_dimension = jax.lax.stop_gradient(jnp.maximum(rates, MIN_RATE) / sizes)
    return per_dimension / per_dimension.mean()


def balanced_rate(outputs: Outputs, strength: Scalar = 1.0) -> Array:
    """sum_l (1 + s (gamma_l - 1)) mean_B KL_l, [], nats, with s = `strength`.

    gamma are the `layer_weights`. s = 0 is the rate, s = 1 the version of the paper, which balances
    during warm-up: decrease s from 1 to 0 as beta goes to 1, because with s > 0 the loss is not a
    bound. Raises TypeError if `layer_rates` are unknown.
    """
    weights = 1 + strength * (layer_weights(outputs) - 1)
    return (weights * layer_rates(outputs).mean(1)).sum()


def layer_free_bits_rate(outputs: Outputs, free_bits: Scalar) -> Array:
    """sum_l max(free_bits, mean_B KL_l), [], nats: no gradient from a layer below its allowance.

    Kingma et al., 2016, arXiv:1606.04934, appendix C.8, with every stochastic layer a group. Raises
    TypeError if `layer_rates` are unknown.
    """
    return jnp.maximum(layer_rates(outputs).mean(1), free_bits).sum()
