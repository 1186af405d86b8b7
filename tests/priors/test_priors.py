"""Priors: densities against scipy and numpy, moments, conditions; the VAE with its parts."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, special, stats

from vae_jax import likelihoods, nets, posteriors, priors
from vae_jax.distributions import (
    DiagGaussian,
    Flowed,
    MixtureOfGaussians,
    OneHotCategorical,
    monte_carlo_kl,
)
from vae_jax.distributions.mixture import squared_distances
from vae_jax.errors import InputError
from vae_jax.models import VAE
from vae_jax.objectives import elbo

jit = functools.partial(
    jax.jit, compiler_options={"xla_backend_optimization_level": 1}
)  # a quarter of the time to compile

K, B, D, C, EVENT = 2, 5, 4, 3, (6,)
log_prob = jit(lambda p, x: p.log_prob(x))
sample = jit(lambda p, key, shape=(): p.sample(key, shape), static_argnums=2)


def normal(shape, scale=1.0, seed=0):
    return np.float32(scale * np.random.default_rng([seed, *shape]).normal(size=shape))


def random_params(module, *args, scale=0.5):
    """Parameters of the module's shapes, none of them zero, and no time to compile."""
    shapes = jax.eval_shape(functools.partial(module.init), jax.random.key(0), *args)
    return jax.tree.map(lambda leaf: normal(leaf.shape, scale), shapes)


# Mixtures


def mixture(batch=(), components=3, seed=0):
    shape = (*batch, components, D)
    return MixtureOfGaussians(
        jnp.asarray(normal(shape, 1.0, seed)),
        normal(shape, 0.5, seed + 1),
        normal(shape[:-1], 1.0, seed + 2),
    )


def np_log_prob(p, z):
    """The density by definition, in float64, no expanded squares; p over [K, D], z [..., D]."""
    z, mean, logvar = np.float64(z)[..., None, :], np.float64(p.means), np.float64(p.logvars)
    logs = stats.norm.logpdf(z, mean, np.exp(logvar / 2)).sum(-1)
    return special.logsumexp(logs + special.log_softmax(np.float64(p.logits), -1), axis=-1)


@pytest.mark.parametrize("batch", [(), (B,)])
def test_a_mixture_is_its_definition(batch):
    p, z = mixture(batch), normal((2, B, D), 1.5)
    np.testing.assert_allclose(log_prob(p, z), np_log_prob(p, z), rtol=1e-5, atol=1e-5)
    assert (p.batch_shape, p.event_shape) == (batch, (D,))
    if batch:
        np.testing.assert_allclose(
            log_prob(p, z[:, :1]), np_log_prob(p, z[:, :1]), rtol=1e-5, atol=1e-5
        )


def test_a_mixture_of_one_is_a_gaussian():
    p = mixture(components=1)
    exact = DiagGaussian(p.means[0], p.logvars[0])
    z = normal((7, D))
    np.testing.assert_allclose(log_prob(p, z), log_prob(exact, z), rtol=1e-5)


@pytest.mark.parametrize(
    ("sigma", "offset"), [(0.001, 0.0), (0.05, 0.0), (0.05, 100.0), (1.0, 0.0)]
)
def test_narrow_components_far_from_the_origin_lose_nothing(sigma, offset):
    """500 components in 40 dimensions, scored at their samples, against the float64 definition."""
    means = normal((500, 40)) + np.float32(offset)
    logvars = np.full((500, 40), 2 * np.log(sigma), np.float32)
    p = MixtureOfGaussians(jnp.asarray(means), logvars, np.zeros(500, np.float32))
    z = means[:200] + np.float32(sigma) * normal((200, 40), seed=1)
    assert np.abs(log_prob(p, z) - np_log_prob(p, z)).max() < 2e-4


@pytest.mark.parametrize("batch", [(), (B,)])
def test_the_derivative_by_products_is_that_of_the_sum(batch):
    """First and second derivatives in all three arguments, against autodiff of the definition."""

    def definition(z, means, precisions):
        return jnp.sum(jnp.square(z[..., None, :] - means) * precisions, -1)

    at = (normal((2, B, D)), normal((*batch, 3, D), seed=1), np.exp(normal((*batch, 3, D), seed=2)))
    along = tuple(normal(array.shape, seed=3) for array in at)

    @jit
    def derivatives(at, along):
        def both(fn):
            gradient = jax.grad(lambda at: jnp.sum(jnp.sin(fn(*at))))
            return jax.jvp(lambda *at: fn(*at), at, along), jax.jvp(gradient, (at,), (along,))

        return both(squared_distances), both(definition)

    for a, b in zip(*map(jax.tree.leaves, derivatives(at, along)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("batch", [(), (2,)])
def test_draws_of_a_mixture_have_its_moments(batch):
    n, p = 20_000, mixture(batch)
    z = np.float64(sample(p, jax.random.key(0), (n,)))
    assert z.shape == (n, *batch, D)
    weights = special.softmax(np.float64(p.logits), -1)[..., None]
    mean = (weights * p.means).sum(-2)
    second = (weights * (np.float64(p.means) ** 2 + np.exp(np.float64(p.logvars)))).sum(-2)
    np.testing.assert_allclose(p.mean, mean, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_less(np.abs(z.mean(0) - mean), 4 * z.std(0) / np.sqrt(n))
    np.testing.assert_array_less(np.abs((z**2).mean(0) - second), 4 * (z**2).std(0) / np.sqrt(n))
    cold = np.float64(sample(p.with_temperature(1e-3), jax.random.key(0), (50,)))
    distance = np.abs(cold[..., None, :] - np.float64(p.means)).max(-1).min(-1)
    assert distance.max() < 0.05  # at the mean of one component each


# The priors


def test_a_learned_diagonal_starts_as_the_standard_normal():
    module = priors.LearnedDiagonal(D)
    p = module.apply(module.init(jax.random.key(0)))
    np.testing.assert_allclose(p.mean, 0)
    np.testing.assert_allclose(p.logvar, 0, atol=1e-2)
    assert p.batch_shape == ()


def test_a_conditional_normal_is_affine_in_c():
    c = normal((B, C))
    module = priors.LearnedDiagonal(D)
    params = random_params(module, c)
    p = jit(module.apply)(params, c)
    kernel, bias = (params["params"]["mean"][name] for name in ("kernel", "bias"))
    np.testing.assert_allclose(p.mean, c @ kernel + bias, rtol=1e-5, atol=1e-6)
    logvar = params["params"]["logvar"]
    np.testing.assert_allclose(
        p.logvar, c @ logvar["kernel"] + logvar["bias"], atol=0.05
    )  # far inside its bounds


@pytest.mark.parametrize("kind", ["mixture", "coupling", "autoregressive"])
def test_a_prior_given_c_is_a_density_for_each_c(kind):
    module = {
        "mixture": priors.Mixture(D, 3),
        "coupling": priors.CouplingPrior(D, 2, 7),
        "autoregressive": priors.AutoregressivePrior(D, 2, 7),
    }[kind]
    c, z = normal((B, C)), normal((K, B, D))
    params = random_params(module, c)
    p = jit(module.apply)(params, c)
    assert (p.batch_shape, p.event_shape) == ((B,), (D,))
    assert sample(p, jax.random.key(0)).shape == (B, D)
    values = log_prob(p, z)
    assert values.shape == (K, B)
    alone = jit(module.apply)(params, c[1:2])
    np.testing.assert_allclose(values[:, 1:2], log_prob(alone, z[:, 1:2]), rtol=1e-4, atol=1e-4)
    moved = log_prob(jit(module.apply)(params, c + 1), z)
    assert np.all(np.abs(moved - values) > 1e-4)


@pytest.mark.parametrize(
    "module", [priors.CouplingPrior(2, 2, 8), priors.AutoregressivePrior(2, 2, 8)]
)
def test_a_flow_prior_draws_from_its_density(module):
    """The share of draws in a quadrant is the integral of the density over it."""
    n, p = 20_000, jit(module.apply)(random_params(module, scale=0.4))
    assert isinstance(p, Flowed)
    z = np.float64(sample(p, jax.random.key(0), (n,)))
    axes = [np.linspace(0, 3 * column.max(), 400) for column in z.T]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), -1)
    density = np.exp(np.float64(log_prob(p, jnp.float32(grid))))
    exact = integrate.trapezoid(integrate.trapezoid(density, axes[1], axis=1), axes[0])
    assert 0.05 < exact < 0.95
    assert abs(np.mean((z > 0).all(-1)) - exact) < 4 * np.sqrt(exact * (1 - exact) / n) + 1e-3


def test_a_flow_prior_starts_near_the_standard_normal():
    for module in (priors.CouplingPrior(D, 1), priors.AutoregressivePrior(D, 1)):
        p = jit(lambda key, module=module: module.apply(module.init(key)))(jax.random.key(0))
        zeros = np.zeros(D, np.float32)
        mean, _ = jit(monte_carlo_kl, static_argnums=3)(
            jax.random.key(1), DiagGaussian(zeros, zeros), p, 1000
        )
        assert abs(mean) < 0.01


def test_uniform_categories():
    p = priors.UniformCategorical(3, 4).apply({})
    z = sample(p, jax.random.key(0), (6,))
    np.testing.assert_allclose(log_prob(p, z), -3 * np.log(4), rtol=1e-6)
    assert isinstance(p, OneHotCategorical)


# VampPrior


def vae(posterior, prior, **options):
    """A linear VAE of vectors."""
    return VAE(
        nets.MLP((7,)), nets.MLP((7,)), posterior, prior, likelihoods.Gaussian(EVENT), **options
    )


def test_vamp_with_all_data_is_the_aggregate_posterior():
    x = np.random.default_rng(0).uniform(-1.9, 2.9, (30, *EVENT)).astype(np.float32)
    prior = priors.VampPrior(EVENT, 30, low=-2.0, high=3.0)
    model = vae(posteriors.DiagGaussianHead(D), prior)
    params = random_params(model, x[:B], jax.random.key(0))
    params["params"]["prior"]["raw_inputs"] = prior.to_raw(x)
    outputs = jit(model.apply)(params, x[:B], jax.random.key(0))
    assert outputs.kl is None

    w = params["params"]
    h = np.maximum(
        np.float64(x) @ w["encoder"]["Dense_0"]["kernel"] + w["encoder"]["Dense_0"]["bias"], 0
    )
    mean, logvar = (
        h @ np.float64(w["posterior"][name]["kernel"]) + w["posterior"][name]["bias"]
        for name in ("mean", "logvar")
    )
    low, high = -14.0, 8.0
    logvar = low + np.logaddexp(0, logvar - low)
    logvar = high - (high - low) / np.logaddexp(0, high - low) * np.logaddexp(0, high - logvar)
    z = np.float64(outputs.z[0])
    each = stats.norm.logpdf(z[:, None], mean, np.exp(logvar / 2)).sum(-1)
    exact = np.log(np.mean(np.exp(each - each.max(1, keepdims=True)), axis=1)) + each.max(1)
    np.testing.assert_allclose(outputs.log_pz[0], exact, rtol=1e-4, atol=1e-4)


def test_vamp_keeps_its_pseudo_inputs_in_the_range_of_the_data():
    seen = {}

    def encode(u, c):
        seen["u"], seen["c"] = u, c
        return DiagGaussian(u[:, :D], jnp.zeros(D))

    module = priors.VampPrior(EVENT, 200, low=-1.0, high=3.0, num_condition=4)
    params = module.init(jax.random.key(0), encode=encode)
    u = np.asarray(seen["u"])
    assert u.shape == (200, *EVENT)
    assert np.all((u > -1) & (u < 3))
    assert abs(u.mean() - 1) < 4 * u.std() / np.sqrt(u.size)
    assert 0.5 < u.std() < 1.2
    assert seen["c"].shape == (200, 4)
    assert abs(np.mean(seen["c"]) - 0.25) < 0.02
    np.testing.assert_allclose(module.to_raw(u), params["params"]["raw_inputs"], atol=1e-4)
    assert np.all(np.isfinite(module.to_raw(np.float32([-1, 3]))))
    free = priors.VampPrior(EVENT, 200, low=-np.inf, high=np.inf)
    params = free.init(jax.random.key(0), encode=encode)
    np.testing.assert_array_equal(seen["u"], params["params"]["raw_inputs"])
    np.testing.assert_array_equal(free.to_raw(u), u)
    assert seen["c"] is None
    counts = priors.VampPrior(EVENT, 200, low=2.0, high=np.inf)
    params = counts.init(jax.random.key(0), encode=encode)
    assert np.all(seen["u"] > 2)
    np.testing.assert_allclose(counts.to_raw(seen["u"]), params["params"]["raw_inputs"], atol=1e-4)
    assert np.all(np.isfinite(counts.to_raw(np.float32([2, 300]))))


def test_vamp_refuses_what_it_is_not_made_for():
    def encode(u, c):
        return DiagGaussian(u, u)

    def init(c=None, encode=None, **bounds):
        jax.eval_shape(
            lambda: priors.VampPrior(EVENT, 3, **bounds).init(jax.random.key(0), c, encode=encode)
        )

    with pytest.raises(InputError, match="not conditional"):
        init(normal((B, C)), encode=encode)
    with pytest.raises(InputError, match="made of posteriors"):
        init()
    model = vae(posteriors.FullGaussianHead(D), priors.VampPrior(EVENT, 3))
    with pytest.raises(InputError, match="FullGaussian"):
        jax.eval_shape(model.init, jax.random.key(0), normal((B, *EVENT)), jax.random.key(0))
    for low, high in ((1.0, 1.0), (2.0, 1.0), (-np.inf, 0.0)):
        with pytest.raises(InputError, match="low, high"):
            init(encode=encode, low=low, high=high)


# In a VAE


POSTERIORS = {
    "diagonal": posteriors.DiagGaussianHead(D),
    "full": posteriors.FullGaussianHead(D),
    "planar": posteriors.PlanarHead(D, 1),
    "sylvester": posteriors.SylvesterHead(D, 1, 2),
    "iaf": posteriors.InverseAutoregressiveHead(D, 2, 7),
    "one-hot": posteriors.GumbelSoftmaxHead(2, 2),
}
PRIORS = {
    "learned": priors.LearnedDiagonal(D),
    "mixture": priors.Mixture(D, 3),
    "vamp": priors.VampPrior(EVENT, 3, num_condition=C),
    "coupling": priors.CouplingPrior(D, 2, 7),
    "autoregressive": priors.AutoregressivePrior(D, 1, 7),
    "uniform": priors.UniformCategorical(2, 2),
}
TABLE = [  # posterior, prior, True if model and prior get y, True if the rate has a closed form
    ("diagonal", "vamp", (True, False), False),
    ("full", "learned", (True, True), True),
    ("planar", "coupling", (False, False), False),
    ("sylvester", "mixture", (True, True), False),
    ("iaf", "autoregressive", (True, True), False),
    ("one-hot", "uniform", (False, False), True),
]


@pytest.mark.parametrize(
    ("posterior", "prior", "given", "closed"), TABLE, ids=[f"{row[0]}-{row[1]}" for row in TABLE]
)
def test_a_vae(posterior, prior, given, closed):
    """Finite terms of the right shapes, and a gradient to every parameter."""
    conditional, condition_prior = given
    conditioning = nets.OneHot(C) if conditional else None
    model = vae(
        POSTERIORS[posterior],
        PRIORS[prior],
        conditioning=conditioning,
        condition_prior=condition_prior,
    )
    x, y = normal((B, *EVENT), seed=9), {"y": np.arange(B) % C} if conditional else {}
    shapes = jax.eval_shape(
        functools.partial(model.init, **y), jax.random.key(0), x, jax.random.key(0)
    )

    def loss(params):
        outputs = model.apply(params, x, jax.random.key(0), num_samples=K, **y)
        p_x = model.apply(params, jax.random.key(1), B, temperature=0.5, method="generate", **y)
        return elbo(outputs)[0], (outputs, p_x)

    params = jax.tree.map(lambda leaf: normal(leaf.shape, 0.5), shapes)
    gradient, (outputs, p_x) = jit(jax.grad(loss, has_aux=True))(params)
    for term in (outputs.log_px_z, outputs.log_pz, outputs.log_qz_x):
        assert term.shape == (K, B)
        assert np.all(np.isfinite(term))
    assert (outputs.kl is not None) == closed
    assert outputs.prior.batch_shape == ((B,) if condition_prior else ())
    assert p_x.mean.shape == (B, *EVENT)
    assert np.all(np.isfinite(p_x.mean))
    for path, leaf in jax.tree_util.tree_leaves_with_path(gradient):
        assert np.all(np.isfinite(leaf)), path
        assert np.any(leaf != 0), path


def test_the_table_holds_every_posterior_and_prior():
    assert {row[0] for row in TABLE} == set(POSTERIORS)
    assert {row[1] for row in TABLE} == set(PRIORS)
