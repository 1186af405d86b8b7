"""The fixed sigma with which a model of optimal sigma is evaluated."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vae_jax.data import HostSource, Source
from vae_jax.distributions import LOGVAR_RANGE, Distribution, Scaled, inverse_soft_clip
from vae_jax.evaluation.common import choose_examples
from vae_jax.evaluation.scan import full_float32
from vae_jax.likelihoods import LearnedGaussian
from vae_jax.models.base import Model
from vae_jax.nets.attributes import read_attribute
from vae_jax.objectives.loss import given, given_y
from vae_jax.types import Array, Params

MAX_EXAMPLES = 4096  # limit for the fit of sigma


def with_fixed_sigma(model: Model) -> Model:
    """Return the model with a sigma that is a parameter if its sigma is optimal, else the model.

    In training, sigma is optimal for the batch. A reported likelihood needs a sigma that
    does not depend on the scored examples: `fit_sigma` fits it to the training set.
    """
    if not read_attribute(model.likelihood, "batch_scale"):
        return model
    return model.clone(likelihood=LearnedGaussian(model.likelihood.event_shape))


def fit_sigma(model: Model, params: Params, train: Source | HostSource, key: Array) -> Params:
    """Return the parameters of `with_fixed_sigma(model)`, with the optimal sigma of `train`.

    sigma^2 is the mean of (x - E[x | z])^2 over the event and over at most `MAX_EXAMPLES` examples,
    chosen at random, with one draw z ~ q(z | x) each. In a hierarchy each layer is drawn
    given the draws above it. Parameters of any other model are
    returned as they are.
    """
    if not read_attribute(model.likelihood, "batch_scale"):
        return params
    index = jnp.asarray(choose_examples(train.num_examples, MAX_EXAMPLES), jnp.int32)
    source: Any = train
    if isinstance(train, HostSource):
        source = train.select(np.asarray(index))
        index = jnp.arange(len(index))
    variance = _residual_variance(model, params, source, index, key)
    low, high = (jnp.exp(jnp.float32(bound)) for bound in LOGVAR_RANGE)
    variance = jnp.clip(variance, 1.01 * low, 0.99 * high)
    logvar = inverse_soft_clip(jnp.log(variance), *LOGVAR_RANGE)
    likelihood = params["params"]["likelihood"] | {"logvar": logvar}
    return params | {"params": params["params"] | {"likelihood": likelihood}}


@functools.partial(jax.jit, static_argnums=0)
@full_float32
def _residual_variance(
    model: Model, params: Params, train: Source, index: Array, key: Array
) -> Array:
    key_data, key_z = jax.random.split(key)

    def one_example(index_and_number: tuple[Array, Array]) -> tuple[Array, Array | None]:
        index, number = index_and_number
        batch = train.take(index[None], jax.random.fold_in(key_data, number))
        x, inputs = batch["x"], given(model, batch)
        key = jax.random.fold_in(key_z, number)
        if model.supports("flat_posterior"):
            z = model.apply(params, x, **inputs, method="encode").sample(key)
        else:  # `encode` has the posteriors given the means above them, not given draws
            z = model.apply(params, x, key, **inputs).z[0]
        p: Distribution = model.apply(params, z, **given_y(model, batch), method="decode")
        observed = batch.get("observed")
        if isinstance(p, Scaled):  # sigma is in units of standardized values
            squared = jnp.square(p.base.mean - p.affine.inverse(x))
        else:
            squared = jnp.square(p.mean - x)
        if observed is None:
            return squared.mean(), None
        return jnp.where(observed, squared, 0).mean(), observed.mean()

    squared, share = jax.lax.map(one_example, (index, jnp.arange(len(index))), batch_size=128)
    return squared.mean() if share is None else squared.mean() / share.mean()
