"""The sigma with which a model of optimal sigma is evaluated."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from vae_jax.data import HostSource, Source
from vae_jax.distributions import LOGVAR_RANGE, inverse_soft_clip
from vae_jax.likelihoods import LearnedGaussian, OptimalGaussian
from vae_jax.objectives.loss import given_y
from vae_jax.types import Array, Params

NUM_EXAMPLES = 4096  # that sigma is fitted to, at most


def with_fixed_sigma(model: nn.Module) -> nn.Module:
    """The twin of a model with an optimal sigma in which sigma is a parameter; any other model as it is.

    In training an optimal sigma is that of the batch. A likelihood that is reported needs one that does not depend on what
    it is scored with: `settle` finds it on the training set.
    """
    if not isinstance(model.likelihood, OptimalGaussian):
        return model
    return model.clone(likelihood=LearnedGaussian(model.likelihood.event_shape))


def fit_sigma(model: nn.Module, params: Params, train: Source | HostSource, key: Array) -> Params:
    """The parameters of `settled(model)`: those of the model, with the sigma that is optimal on the training set.

    sigma^2 is the mean of (x - E[x | z])^2 over the event and over at most `NUM_EXAMPLES` examples evenly spread in `train`,
    with a draw z ~ q(z | x) each.
    """
    if not isinstance(model.likelihood, OptimalGaussian):
        return params
    index = jnp.linspace(0, train.num_examples - 1, min(train.num_examples, NUM_EXAMPLES)).astype(
        jnp.int32
    )
    if isinstance(train, HostSource):
        train, index = train.at(np.asarray(index)), jnp.arange(len(index))
    low, high = (jnp.exp(jnp.float32(bound)) for bound in LOGVAR_RANGE)
    variance = jnp.clip(
        jax.jit(_residual_variance, static_argnums=0)(model, params, train, index, key),
        1.01 * low,
        0.99 * high,
    )
    logvar = inverse_soft_clip(jnp.log(variance), *LOGVAR_RANGE)
    likelihood = params["params"]["likelihood"] | {"logvar": logvar}
    return params | {"params": params["params"] | {"likelihood": likelihood}}


def _residual_variance(
    model: nn.Module, params: Params, train: Source, index: Array, key: Array
) -> Array:
    key_data, key_z = jax.random.split(key)

    def one(index_and_number: tuple[Array, Array]) -> Array:
        index, number = index_and_number
        batch = train.take(index[None], jax.random.fold_in(key_data, number))
        x, y = batch["x"], given_y(model, batch)
        z = model.apply(params, x, **y, method="encode").sample(jax.random.fold_in(key_z, number))
        return jnp.square(model.apply(params, z, **y, method="decode").mean - x).mean()

    return jax.lax.map(one, (index, jnp.arange(len(index))), batch_size=128).mean()
