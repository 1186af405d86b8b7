"""A VAE with a regression of a property from its codes, against arithmetic by hand."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vae_jax.likelihoods import Gaussian
from vae_jax.models import VAE
from vae_jax.nets import MLP, Regressor
from vae_jax.objectives import elbo, make_loss_fn, property_elbo, property_pass
from vae_jax.posteriors import DiagGaussianHead
from vae_jax.priors import StandardNormal

jit = functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 1})
KEY = jax.random.key(1)
X = np.float32(np.random.default_rng(0).normal(size=(5, 4)))
Y = np.float32([0.5, -1.0, 2.0, 0.0, 0.3])
MODEL = VAE(
    MLP((6,)),
    MLP((6,)),
    DiagGaussianHead(2),
    StandardNormal(2),
    Gaussian((4,)),
    regressor=Regressor((3,)),
)


@pytest.fixture(scope="module")
def params():
    params = jit(MODEL.init)(jax.random.key(0), X, KEY)
    return jax.tree.map(lambda leaf: leaf + 0.1, params)  # the output of the regressor is not 0


def loss_of(params, **weights):
    loss_fn = make_loss_fn(MODEL, property_elbo, forward=property_pass, num_samples=3, **weights)
    return loss_fn(params, {"x": X, "y": Y}, KEY, 0)


def test_the_loss_by_hand(params):
    outputs = MODEL.apply(params, X, jax.random.split(KEY)[0], num_samples=3)
    tree = jax.tree.map(np.asarray, params["params"]["regressor"])
    dense = tree["hidden"]["Dense_0"]
    h = np.maximum(np.asarray(outputs.z) @ dense["kernel"] + dense["bias"], 0)
    predicted = (h @ tree["out"]["kernel"] + tree["out"]["bias"])[..., 0]
    error = np.square(Y - predicted).mean()
    loss, metrics = jit(loss_of)(params, property_weight=4.0, beta=0.5)
    plain, bound = elbo(outputs, beta=0.5)
    np.testing.assert_allclose(loss, plain + 2 * error, rtol=1e-5)
    np.testing.assert_allclose(metrics["property_error"], error, rtol=1e-5)
    np.testing.assert_allclose(metrics["elbo"], bound["elbo"], rtol=1e-5)
    np.testing.assert_allclose(metrics["loss"], loss)


def test_without_weight_it_is_the_elbo_and_with_weight_the_encoder_learns_from_y(params):
    plain = make_loss_fn(MODEL, elbo, num_samples=3)
    grad = jit(jax.grad(lambda p: plain(p, {"x": X}, KEY, 0)[0]))(params)["params"]
    ours = [jit(jax.grad(lambda p, w=w: loss_of(p, property_weight=w)[0]))(params) for w in (0, 9)]
    same, more = (tree["params"] for tree in ours)
    for name in grad:
        for a, b in zip(jax.tree.leaves(grad[name]), jax.tree.leaves(same[name]), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
        difference = jax.tree.map(lambda a, b: jnp.abs(a - b).max(), grad[name], more[name])
        learns = max(jax.tree.leaves(difference)) > 1e-3
        assert learns == (name in ("encoder", "posterior", "regressor")), name


def test_what_does_not_fit_is_refused(params):
    outputs = MODEL.apply(params, X, KEY)
    with pytest.raises(ValueError, match=r"y of shape \(4,\): must be \(1, 5\) and \(5,\)"):
        property_elbo(outputs, predicted=jnp.zeros((1, 5)), y=jnp.zeros(4))
    with pytest.raises(ValueError, match="needs a model with a regressor"):
        make_loss_fn(MODEL.clone(regressor=None), property_elbo, forward=property_pass)
