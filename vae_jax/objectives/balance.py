"""Rates of a hierarchy with its layers held in balance, so that none of them is left unused."""

import jax
import jax.numpy as jnp

from vae_jax.objectives.terms import layer_rates
from vae_jax.types import Array, Outputs, Scalar

FLOOR = 1e-6  # nats: layers that are all unused weigh the same


def layer_weights(outputs: Outputs) -> Array:
    """gamma_l = L r_l / sum_k r_k, [L], with r_l = mean_B KL_l / D_l, the rate of a dimension of layer l; no gradient.

    Their mean is 1: a layer that carries more for its size than others costs more, one that carries less costs less.
    Vahdat and Kautz, 2020, arXiv:2007.03898, appendix A, with the KL *divided* by the size of the layer, as in their code
    and in its source, Vahdat et al., 2018, arXiv:1802.04920, appendix H; that the text multiplies is, they say, a misprint.
    """
    rates = layer_rates(outputs).mean(1)
    sizes = jnp.asarray(outputs.layers or (outputs.z.shape[-1],), rates.dtype)
    per_dimension = jax.lax.stop_gradient(jnp.maximum(rates, FLOOR) / sizes)
    return per_dimension / per_dimension.mean()


def balanced_rate(outputs: Outputs, strength: Scalar = 1.0) -> Array:
    """sum_l (1 + s (gamma_l - 1)) mean_B KL_l, [], nats, with the weights gamma of `layer_weights` at a strength s.

    At s = 0 it is the rate, and at 1 that of the paper, which balances while the rate is warmed up: let s go from 1 to 0
    as beta goes to 1, for with s > 0 the loss is not a bound. TypeError where the KL has no closed form of each dimension.
    """
    weights = 1 + strength * (layer_weights(outputs) - 1)
    return (weights * layer_rates(outputs).mean(1)).sum()


def layer_free_bits_rate(outputs: Outputs, free_bits: Scalar) -> Array:
    """sum_l max(free_bits, mean_B KL_l), [], nats: no gradient from a layer below its allowance.

    Kingma et al., 2016, arXiv:1606.04934, appendix C.8, with every stochastic layer a group. TypeError as above.
    """
    return jnp.maximum(layer_rates(outputs).mean(1), free_bits).sum()
