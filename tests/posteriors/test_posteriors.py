"""Posteriors and their parts: densities against scipy, moments, closed forms and Monte Carlo."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special, stats

from vae_jax import distributions, posteriors
from vae_jax.distributions import (
    DiagGaussian,
    Flowed,
    FullGaussian,
    OneHotCategorical,
    has_kl_terms,
    monte_carlo_kl,
)
from vae_jax.errors import InputError

jit = functools.partial(
    jax.jit, compiler_options={"xla_backend_optimization_level": 1}
)  # a quarter of the time to compile

B, F, D = 3, 5, 4
log_prob = jit(lambda p, x: p.log_prob(x))
sample = jit(lambda p, key, shape=(): p.sample(key, shape), static_argnums=2)
sample_and_log_prob = jit(
    lambda p, key, shape=(): p.sample_and_log_prob(key, shape), static_argnums=2
)
kl_divergence = jit(distributions.kl_divergence)
kl_terms = jit(distributions.kl_terms)
estimate = jit(monte_carlo_kl, static_argnums=3)

HEADS = {
    "full_gaussian": posteriors.FullGaussianHead(D),
    "student_t": posteriors.StudentTHead(D),
    "planar": posteriors.PlanarHead(D, 1),
    "sylvester": posteriors.SylvesterHead(D, 1, 3),
    "iaf": posteriors.InverseAutoregressiveHead(D, 2, 7),
    "gumbel_softmax": posteriors.GumbelSoftmaxHead(2, 2, 0.5),
}


def normal(shape, scale=1.0, seed=0):
    return np.float32(scale * np.random.default_rng([seed, *shape]).normal(size=shape))


def apply(name, scale, h=None, dtype=jnp.float32):
    """The head on features with random parameters, or with initial ones if scale is None."""
    head, h = HEADS[name], normal((B, F)) if h is None else h

    def params(key):
        first = head.init(key, h)
        return (
            first if scale is None else jax.tree.map(lambda leaf: normal(leaf.shape, scale), first)
        )

    return jit(lambda key, h: head.apply(params(key), h))(jax.random.key(0), jnp.asarray(h, dtype))


@pytest.mark.parametrize("name", HEADS)
def test_a_head_gives_float32_of_any_features(name):
    q = apply(name, 1.0, dtype=jnp.bfloat16)
    z, log_q = sample_and_log_prob(q, jax.random.key(1), (2,))
    assert (q.batch_shape, q.event_shape) == ((B,), (D,))
    assert (z.shape, log_q.shape, z.dtype, log_q.dtype) == (
        (2, B, D),
        (2, B),
        jnp.float32,
        jnp.float32,
    )
    assert q.center.shape == (B, D)
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(q))
    np.testing.assert_allclose(log_prob(q, z), log_q, rtol=1e-3, atol=1e-2)
    assert log_prob(q, z[:, :1]).shape == (
        2,
        B,
    )  # the same values under the posterior of each example


def test_student_t_is_affine_in_the_features():
    h, head = normal((B, F)), posteriors.StudentTHead(D, 3.0)
    start, _ = head.init_with_output(jax.random.key(0), 0 * h)
    np.testing.assert_allclose(start.df, 3.0, rtol=1e-4)
    params = {
        name: {"kernel": normal((F, D), 0.3, seed), "bias": normal((D,), 0.3, seed)}
        for seed, name in enumerate(("loc", "logvar", "df"))
    }
    q = head.apply({"params": params}, h)
    loc, logvar, df = (h @ layer["kernel"] + layer["bias"] for layer in params.values())
    np.testing.assert_allclose(q.loc, loc, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(q.log_scale, distributions.bounded_logvar(logvar) / 2, rtol=1e-5)
    np.testing.assert_allclose(q.df, distributions.bounded_df(df, 3.0), rtol=1e-5)
    z, log_q = sample_and_log_prob(q, jax.random.key(1), (3,))
    expected = stats.t.logpdf(*map(np.float64, (z, q.df, q.loc, np.exp(q.log_scale)))).sum(-1)
    np.testing.assert_allclose(log_q, expected, rtol=1e-4, atol=1e-4)
    wide = head.apply({"params": params}, 1e4 * h)
    assert np.all((wide.df > 1.99) & (wide.df < 1001))
    assert not has_kl_terms(q, DiagGaussian(jnp.zeros(D), jnp.zeros(D)))


@pytest.mark.parametrize("name", ["planar", "sylvester", "iaf"])
def test_flows_start_near_their_gaussian(name):
    q = apply(name, None)
    assert isinstance(q, Flowed)
    z0 = sample(q.base, jax.random.key(0), (50,))
    z = sample(q, jax.random.key(0), (50,))
    z = z[..., ::-1] if name == "iaf" else z  # one reversal, between two flows
    assert 0 < np.abs(z - z0).max() < 0.2
    assert not has_kl_terms(q, q.base)


@pytest.mark.parametrize("name", ["full_gaussian", "planar", "sylvester", "iaf"])
def test_scales_stay_in_bounds(name):
    q = apply(name, 1.0, normal((B, F), 1e4))
    scale = (
        np.diagonal(q.scale_tril, axis1=1, axis2=2)
        if isinstance(q, FullGaussian)
        else q.base.stddev
    )
    assert np.all((scale > 9e-4) & (scale < 55))
    assert np.all(np.isfinite(sample_and_log_prob(q, jax.random.key(0))[1]))


def test_sylvester_needs_at_most_as_many_columns_as_dimensions():
    with pytest.raises(InputError, match="num_vectors = 8: must be at least 1 and at most 4"):
        posteriors.SylvesterHead(4).init(jax.random.key(0), normal((B, F)))


# Full covariance


def full(batch=(B,)):
    lower = np.tril(normal((*batch, D, D), 0.7), -1) + np.eye(D) * np.exp(
        normal((*batch, D, 1), 0.5)
    )
    return FullGaussian(jnp.asarray(normal((*batch, D))), jnp.float32(lower))


def covariance(q):
    scale = np.float64(q.scale_tril)
    return scale @ np.swapaxes(scale, -1, -2)


def test_full_gaussian_is_scipys():
    q, x = full(), normal((6, B, D), 2.0)
    values = log_prob(q, x)
    pairs = log_prob(q, x[:, :1])  # the same values for all
    for b in range(B):
        exact = stats.multivariate_normal(np.float64(q.mean[b]), covariance(q)[b])
        np.testing.assert_allclose(
            values[:, b], exact.logpdf(np.float64(x[:, b])), rtol=1e-4, atol=1e-4
        )
        np.testing.assert_allclose(
            pairs[:, b], exact.logpdf(np.float64(x[:, 0])), rtol=1e-4, atol=1e-4
        )
    first = jax.tree.map(lambda leaf: leaf[0], q)
    np.testing.assert_allclose(log_prob(first, x[:, 0]), values[:, 0], rtol=1e-5)
    np.testing.assert_allclose(log_prob(first, x[0, 0]), values[0, 0], rtol=1e-5)


def test_full_gaussian_draws_have_its_moments_and_density():
    n, q = 20_000, full()
    z, log_q = sample_and_log_prob(q, jax.random.key(0), (n,))
    np.testing.assert_allclose(log_prob(q, z), log_q, rtol=1e-4, atol=1e-3)
    np.testing.assert_array_equal(sample(q, jax.random.key(0), (n,)), z)
    exact = covariance(q)
    variance = np.diagonal(exact, axis1=1, axis2=2)
    np.testing.assert_array_less(np.abs(np.float64(z).mean(0) - q.mean), 4 * np.sqrt(variance / n))
    centerd = np.float64(z) - np.float64(q.mean)
    products = np.einsum("nbi,nbj->bij", centerd, centerd) / n
    stderr = np.sqrt((exact**2 + variance[:, :, None] * variance[:, None, :]) / n)  # Isserlis
    np.testing.assert_array_less(np.abs(products - exact), 4 * stderr)
    np.testing.assert_allclose(covariance(q.with_temperature(0.3)), 0.09 * exact, rtol=1e-5)


@pytest.mark.parametrize("standard", [True, False])
def test_full_gaussian_has_its_kl(standard):
    q = full()
    zeros = np.zeros(D, np.float32)
    p = (
        DiagGaussian(zeros, zeros)
        if standard
        else DiagGaussian(normal((B, D)), normal((B, D), 0.5, seed=1))
    )
    kl = kl_divergence(q, p)
    inverse = np.exp(-np.float64(p.logvar))
    trace = (np.diagonal(covariance(q), axis1=1, axis2=2) * inverse).sum(-1)
    squared = (np.square(np.float64(q.mean) - p.mean) * inverse).sum(-1)
    log_ratio = np.float64(p.logvar).sum(-1) - np.linalg.slogdet(covariance(q))[1]
    np.testing.assert_allclose(kl, (trace + squared - D + log_ratio) / 2, rtol=1e-5)
    mean, stderr = estimate(jax.random.key(0), q, p, 20_000)
    np.testing.assert_array_less(np.abs(mean - kl), 4 * stderr)
    assert not has_kl_terms(q, p)


def test_full_gaussian_without_covariance_is_the_diagonal_one():
    mean, logvar = normal((2, B, D))
    q, diagonal = (
        FullGaussian(mean, np.exp(logvar / 2)[..., None] * np.eye(D, dtype=np.float32)),
        DiagGaussian(mean, logvar),
    )
    x, p = normal((B, D), seed=2), DiagGaussian(normal((D,)), normal((D,), seed=1))
    np.testing.assert_allclose(log_prob(q, x), log_prob(diagonal, x), rtol=1e-5)
    np.testing.assert_allclose(kl_divergence(q, p), kl_divergence(diagonal, p), rtol=1e-5)


def test_full_gaussian_head_is_affine_below_the_diagonal():
    h = normal((B, F))
    q = apply("full_gaussian", 1.0, h)
    below = np.float64(h) @ normal((F, 6)) + normal((6,))
    sigma = np.diagonal(q.scale_tril, axis1=1, axis2=2)
    rows, columns = np.tril_indices(D, -1)
    np.testing.assert_allclose(
        np.asarray(q.scale_tril)[:, rows, columns] / sigma[:, rows], below, rtol=1e-4, atol=1e-5
    )
    assert np.all(np.triu(q.scale_tril, 1) == 0)


# One-hot


N, M = 3, 4


def categorical(temperature=1.0, seed=0, batch=(2,)):
    return OneHotCategorical(jnp.asarray(normal((*batch, N * M), 1.5, seed)), M, temperature)


def probabilities(p):
    return special.softmax(np.float64(p.logits).reshape(*p.batch_shape, N, M), -1)


@pytest.mark.parametrize("temperature", [0.1, 1.0, 7.0])
def test_draws_are_exactly_one_hot_with_the_right_frequencies(temperature):
    n, p = 20_000, categorical(temperature)
    z = np.asarray(sample(p, jax.random.key(0), (n,)))
    assert z.shape == (n, 2, N * M)
    by_variable = z.reshape(n, 2, N, M)
    assert np.all((by_variable == 0) | (by_variable == 1))
    assert np.all(by_variable.sum(-1) == 1)
    exact = probabilities(p)
    np.testing.assert_array_less(
        np.abs(by_variable.mean(0, dtype=np.float64) - exact), 4 * np.sqrt(exact * (1 - exact) / n)
    )
    np.testing.assert_allclose(np.reshape(p.mean, exact.shape), exact, rtol=1e-5)
    np.testing.assert_allclose(p.center, p.mean)


def test_the_mass_is_that_of_the_discrete_variables():
    p = categorical()
    eye = np.eye(M, dtype=np.float32)
    everything = np.stack([np.concatenate(rows) for rows in itertools.product(eye, repeat=N)])
    log_p = log_prob(p, everything[:, None])
    classes = np.array(list(itertools.product(range(M), repeat=N)))
    exact = np.log(probabilities(p))[:, np.arange(N), classes].sum(-1).T
    np.testing.assert_allclose(log_p, exact, rtol=1e-5)
    np.testing.assert_allclose(np.exp(np.float64(log_p)).sum(0), 1, rtol=1e-5)
    np.testing.assert_allclose(np.exp(np.float64(log_p)).T @ everything, p.mean, rtol=1e-5)
    assert p.log_prob_terms(everything[:, None]).shape == (M**N, 2, N)


def test_the_kl_of_each_variable_is_by_enumeration():
    q, p = categorical(), categorical(seed=1, batch=())
    a, b = probabilities(q), probabilities(p)
    np.testing.assert_allclose(kl_terms(q, p), (a * np.log(a / b)).sum(-1), rtol=1e-5)
    np.testing.assert_allclose(kl_divergence(q, p), (a * np.log(a / b)).sum((-1, -2)), rtol=1e-5)
    mean, stderr = estimate(jax.random.key(0), q, p, 20_000)
    np.testing.assert_array_less(np.abs(mean - kl_divergence(q, p)), 4 * stderr)
    np.testing.assert_allclose(kl_terms(q, q), 0, atol=1e-6)
    sharp = OneHotCategorical(jnp.float32([200.0, -200.0, 0.0, 0.0]), 2)
    flat = OneHotCategorical(jnp.zeros(4), 2)
    np.testing.assert_allclose(kl_terms(sharp, flat), [np.log(2), 0], atol=1e-6)
    total = jit(jax.grad(lambda q, p: distributions.kl_divergence(q, p)))
    assert np.all(np.isfinite(total(sharp, flat).logits))


@pytest.mark.parametrize("temperature", [0.3, 2.0])
def test_the_gradient_of_a_draw_is_that_of_the_relaxation(temperature):
    p, key, weights = categorical(temperature), jax.random.key(3), normal((2, N * M), seed=5)
    gradient = jit(jax.grad(lambda p: (p.sample(key) * weights).sum()))(p).logits
    noise = np.float64(jax.random.gumbel(key, (2, N, M), jnp.float32))

    def relaxed(logits):
        return (special.softmax((logits + noise) / temperature, -1).reshape(2, -1) * weights).sum()

    logits, step = np.float64(p.logits).reshape(2, N, M), 1e-5
    for place in np.ndindex(2, N, M):
        moved = np.zeros_like(logits)
        moved[place] = step
        exact = (relaxed(logits + moved) - relaxed(logits - moved)) / (2 * step)
        assert float(np.reshape(gradient, logits.shape)[place]) == pytest.approx(
            exact, rel=1e-3, abs=1e-5
        )
    assert np.all(gradient != 0)


def test_temperature_sharpens_what_is_drawn():
    p = categorical()
    np.testing.assert_allclose(
        probabilities(p.with_temperature(0.5)),
        special.softmax(2 * np.log(probabilities(p)), -1),
        rtol=1e-4,
    )
    head = HEADS["gumbel_softmax"]
    assert head.latent_dim == D
    assert np.all(apply("gumbel_softmax", 1.0).temperature == 0.5)
