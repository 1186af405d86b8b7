"""FactorVAE: one scalar with the gradients of two players, and the permutation."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from vae_jax.distributions import Deterministic, DiagGaussian
from vae_jax.likelihoods import Gaussian
from vae_jax.models import VAE
from vae_jax.nets import MLP, Critic
from vae_jax.objectives import critic_pass, elbo, factor, make_loss_fn
from vae_jax.objectives.factor import permute_dimensions
from vae_jax.objectives.loss import objective_key
from vae_jax.posteriors import DiagGaussianHead
from vae_jax.priors import StandardNormal
from vae_jax.schedules import linear

jit = functools.partial(
    jax.jit, compiler_options={"xla_backend_optimization_level": 1}
)  # a quarter of the time to compile
B, D, K = 6, 3, 2
X = np.float32(np.random.default_rng(0).normal(size=(B, 4)))
KEY = jax.random.key(5)
MODEL = VAE(
    MLP((8,)),
    MLP((8,)),
    DiagGaussianHead(D),
    StandardNormal(D),
    Gaussian((4,)),
    critic=Critic((8, 8)),
)
PARAMS = jit(MODEL.init)(jax.random.key(0), X, jax.random.key(1))


def make_factor_loss_fn(model=MODEL, **options):
    return make_loss_fn(
        model, factor, num_samples=K, forward=critic_pass, needs_key=True, **options
    )


@functools.cache
def graded(**options):
    loss_fn = make_factor_loss_fn(**options)
    return jit(jax.value_and_grad(loss_fn, has_aux=True))(PARAMS, {"x": X}, KEY, jnp.array(3))


def parts(params):
    """Terms of the bound, z [K B, D], and z permuted per dimension, with the loss's keys."""
    terms = MODEL.apply(params, X, jax.random.split(KEY)[0], num_samples=K)
    return (
        terms,
        terms.z.reshape(-1, D),
        permute_dimensions(objective_key(KEY), terms.z).reshape(-1, D),
    )


def model_loss(params):
    """The model's own loss, with a critic that it can't change."""
    terms, z, _ = parts(params)
    logits = MODEL.apply(PARAMS, z, method="criticize")
    return elbo(terms)[0] + 6 * (logits[:, 0] - logits[:, 1]).mean()


def critic_loss(params):
    """The critic's own loss, on draws that it can't change."""
    _, z, permuted = parts(PARAMS)
    labels = jnp.repeat(jnp.arange(2), len(z))
    logits = MODEL.apply(params, jnp.concatenate([z, permuted]), method="criticize")
    return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()


def without(tree, name):
    return {key: value for key, value in tree["params"].items() if key != name}


def test_one_scalar_has_the_gradients_of_two_players():
    (loss, metrics), gradient = graded(tc_weight=6.0)
    (model_value, model_gradient), (critic_value, critic_gradient) = (
        jit(jax.value_and_grad(f))(PARAMS) for f in (model_loss, critic_loss)
    )
    np.testing.assert_allclose(loss, model_value + critic_value, rtol=1e-5)
    np.testing.assert_allclose(metrics["critic_loss"], critic_value, rtol=1e-5)
    close = functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-5)
    jax.tree.map(close, without(gradient, "critic"), without(model_gradient, "critic"))
    jax.tree.map(close, gradient["params"]["critic"], critic_gradient["params"]["critic"])
    assert all(np.any(leaf) for leaf in jax.tree.leaves(gradient["params"]["critic"]))


def test_the_weight_of_the_total_correlation_reaches_the_encoder_alone():
    (off, metrics), at_0 = graded(tc_weight=0.0)
    (on, _), at_6 = graded(tc_weight=6.0)
    np.testing.assert_allclose(on - off, 6 * metrics["tc"], rtol=1e-3, atol=1e-5)
    for name in ("critic", "decoder", "likelihood"):
        jax.tree.map(
            functools.partial(np.testing.assert_allclose, rtol=1e-5),
            at_0["params"][name],
            at_6["params"][name],
        )
    moved = jax.tree.map(
        lambda a, b: np.abs(a - b).max(), at_0["params"]["posterior"], at_6["params"]["posterior"]
    )
    assert min(jax.tree.leaves(moved)) > 1e-4


def test_without_the_weight_the_model_has_the_gradient_of_the_elbo():
    (loss, metrics), gradient = graded(tc_weight=0.0)
    loss_fn = make_loss_fn(MODEL, elbo, num_samples=K)
    (expected, plain), expected_gradient = jit(jax.value_and_grad(loss_fn, has_aux=True))(
        PARAMS, {"x": X}, KEY, 3
    )
    np.testing.assert_allclose(loss - metrics["critic_loss"], expected, rtol=1e-5)
    np.testing.assert_allclose(metrics["elbo"], plain["elbo"], rtol=1e-6)
    close = functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-6)
    jax.tree.map(close, without(gradient, "critic"), without(expected_gradient, "critic"))
    assert metrics.keys() == {
        "loss",
        "elbo",
        "distortion",
        "rate",
        "tc",
        "critic_loss",
        "critic_accuracy",
    }


def test_dimensions_have_orders_of_their_own() -> None:
    z = jnp.arange(12.0)[None, :, None] + 100 * jnp.arange(3.0)[None, None]  # [1, 12, 3]
    permuted = np.asarray(permute_dimensions(KEY, z))
    np.testing.assert_array_equal(np.sort(permuted, 1), z)  # none leaves its dimension
    orders = permuted[0].T - 100 * np.arange(3)[:, None]
    assert len(np.unique(orders, axis=0)) == 3  # one order for each
    assert np.all((orders != np.arange(12)).any(1))


@pytest.mark.slow
def test_each_dimension_is_permuted_on_its_own_over_the_batch():
    z = np.arange(K * 50 * D, dtype=np.float32).reshape(K, 50, D)
    permuted = np.asarray(permute_dimensions(KEY, z))
    np.testing.assert_array_equal(
        np.sort(permuted, 1), z
    )  # z rises over the batch: the same values, of the same k and d
    orders = np.argsort(permuted, 1).transpose(0, 2, 1).reshape(-1, 50)
    assert len(np.unique(orders, axis=0)) == K * D
    assert np.all((orders != np.arange(50)).any(1))
    np.testing.assert_array_equal(permuted, permute_dimensions(KEY, z))
    assert np.any(permuted != permute_dimensions(jax.random.key(6), z))


@pytest.mark.slow
def test_the_optimal_critic_gives_the_total_correlation():
    # log q(z) - sum log q(z_d) of a correlated Gaussian in closed form.
    rho, n = 0.8, 20_000
    rng = np.random.default_rng(1)
    z = rng.multivariate_normal([0, 0], [[1, rho], [rho, 1]], n)

    def critic(z):
        quadratic = (rho**2 * (z**2).sum(-1) - 2 * rho * z.prod(-1)) / (1 - rho**2)
        return jnp.stack([-0.5 * (jnp.log(1 - rho**2) + quadratic), jnp.zeros(len(z))], -1)

    q = DiagGaussian(jnp.float32(z), jnp.zeros((n, 2)))
    terms = MODEL.apply(PARAMS, X, KEY).replace(z=jnp.float32(z)[None], posterior=q)
    _, metrics = factor(terms, critic=critic, frozen_critic=critic, key=KEY)
    log_ratio = np.float64(critic(jnp.float32(z))[:, 0])
    exact = -0.5 * np.log(1 - rho**2)
    assert abs(metrics["tc"] - exact) < 4 * log_ratio.std() / np.sqrt(n)
    assert (
        metrics["critic_loss"] < np.log(2) - 0.1
    )  # it tells them apart, and more often right than wrong
    assert metrics["critic_accuracy"] > 0.6


def test_a_critic_that_cannot_tell_has_loss_log_2_and_sees_no_total_correlation():
    terms = MODEL.apply(PARAMS, X, KEY)

    def blind(z):
        return jnp.full((len(z), 2), 3.0)

    loss, metrics = factor(terms, critic=blind, frozen_critic=blind, key=KEY)
    np.testing.assert_allclose(metrics["critic_loss"], np.log(2), rtol=1e-6)
    assert metrics["tc"] == 0
    np.testing.assert_allclose(loss, elbo(terms)[0] + np.log(2), rtol=1e-6)


def test_traced_and_scheduled_weights():
    def loss(weight):
        return make_factor_loss_fn(tc_weight=weight)(PARAMS, {"x": X}, KEY, 3)[0]

    losses = jit(jax.vmap(loss))(jnp.array([0.0, 6.0]))
    np.testing.assert_allclose(
        losses, [graded(tc_weight=0.0)[0][0], graded(tc_weight=6.0)[0][0]], rtol=1e-5
    )
    scheduled = make_factor_loss_fn(tc_weight=linear(0.0, 12.0, 6))
    np.testing.assert_allclose(
        jit(scheduled)(PARAMS, {"x": X}, KEY, jnp.array(3))[0], losses[1], rtol=1e-5
    )


def test_what_is_refused():
    with pytest.raises(ValueError, match="needs a model with a critic"):
        make_factor_loss_fn(MODEL.clone(critic=None))
    terms = MODEL.apply(PARAMS, X, KEY)
    refused = functools.partial(factor, critic=None, frozen_critic=None, key=KEY)
    with pytest.raises(ValueError, match="deterministic posterior has no density"):
        refused(terms.replace(posterior=Deterministic(jnp.zeros((B, D)))))
    with pytest.raises(ValueError, match=r"factor needs a posterior over \[B, D\]"):
        refused(terms.replace(posterior=DiagGaussian(terms.z, terms.z)))
