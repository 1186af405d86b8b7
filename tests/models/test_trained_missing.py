"""Missing values given to a trained model: as NaN, or by a mask."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vae_jax import VAE, elbo, likelihoods, make_loss_fn, nets, posteriors, priors
from vae_jax.data.inputs import Inputs
from vae_jax.errors import InputError
from vae_jax.evaluation.likelihood import log_likelihood
from vae_jax.models.trained import TrainedModel

KEY = jax.random.key(0)
X = np.random.default_rng(0).normal(0, 0.3, (6, 4)).astype(np.float32)
OBSERVED = np.random.default_rng(1).random(X.shape) < 0.7
HOLES = np.where(OBSERVED, X, np.nan)
FILLED = np.where(OBSERVED, X, 99.0)


@functools.cache
def trained(*, missing):
    model = VAE(
        nets.MLP((5,)), nets.MLP((5,)), posteriors.DiagGaussianHead(2), priors.StandardNormal(2),
        likelihoods.Gaussian((4,)),
    )  # fmt: skip
    params = jax.jit(model.init)(KEY, jnp.asarray(X), KEY)
    return TrainedModel(model, params, inputs=Inputs((4,), (-9.0, 9.0), missing=missing))


def test_nan_and_mask_are_the_same_missing_values():
    model, by_mask = trained(missing=True), trained(missing=False)
    batch = {"x": jnp.where(OBSERVED, X, 0), "observed": jnp.asarray(OBSERVED)}
    mean = model.model.apply(model.params, **batch, method="encode").mean
    methods = {
        "encode": lambda model, *args, **kw: model.encode(*args, **kw).mean,
        "reconstruct": lambda model, *args, **kw: model.reconstruct(*args, **kw),
        "elbo": lambda model, *args, **kw: model.elbo(KEY, *args, num_samples=3, **kw),
        "log_prob": lambda model, *args, **kw: model.log_prob(KEY, *args, num_samples=3, **kw),
        "score": lambda model, *args, **kw: model.score(KEY, *args, num_samples=3, **kw),
    }
    for name, method in methods.items():
        value = np.asarray(method(model, HOLES))
        assert np.isfinite(value).all(), name
        np.testing.assert_array_equal(value, method(by_mask, FILLED, observed=OBSERVED))
        traced = jax.jit(functools.partial(method, by_mask))(X, observed=jnp.asarray(OBSERVED))
        np.testing.assert_allclose(value, traced, rtol=1e-4)
        complete = method(by_mask, X)
        np.testing.assert_array_equal(complete, method(model, X))
        assert (value != complete).any(), name
    np.testing.assert_allclose(model.encode(HOLES).mean, mean, rtol=1e-5)
    between = model.interpolate(HOLES, HOLES, 3)
    np.testing.assert_allclose(between[0], model.reconstruct(HOLES), atol=1e-6)


def test_bounds_are_of_the_observed_values():
    model = trained(missing=True)
    batch = {"x": jnp.where(OBSERVED, X, 0), "observed": jnp.asarray(OBSERVED)}
    num = 4000
    _, metrics = make_loss_fn(model.model, elbo, num_samples=num)(model.params, batch, KEY, 0)
    bound = np.mean(model.elbo(KEY, HOLES, num_samples=num))
    np.testing.assert_allclose(bound, metrics["elbo"], atol=0.02)
    log_px, _, _ = log_likelihood(model.model, model.params, batch, KEY, num_samples=num, chunk=500)
    np.testing.assert_allclose(model.log_prob(KEY, HOLES, num_samples=num), log_px, atol=0.03)
    scores = model.explain(KEY, HOLES, num_samples=8)
    np.testing.assert_array_equal(np.isnan(scores.columns), ~OBSERVED)
    np.testing.assert_allclose(np.nansum(scores.columns, axis=1), scores.distortion, rtol=1e-5)


def test_nan_is_refused_by_a_model_of_complete_data():
    with pytest.raises(InputError, match="the model was trained without missing values"):
        trained(missing=False).elbo(KEY, HOLES)
    with pytest.raises(InputError, match="NaN that are observed"):
        trained(missing=True).elbo(KEY, HOLES, observed=np.ones_like(OBSERVED))
