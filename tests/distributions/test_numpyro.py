"""Densities, moments and divergences against NumPyro, at random parameters."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vae_jax import distributions as ours

npd = pytest.importorskip("numpyro.distributions")

RNG = np.random.default_rng(5)
N, D, M = 40, 3, 4


def normal(*shape, scale=1.0):
    return jnp.float32(scale * RNG.normal(size=shape))


def lower(*shape):
    """Lower triangular matrices with a positive diagonal."""
    matrix = np.tril(RNG.normal(size=(*shape, D, D)), -1)
    return jnp.float32(matrix + np.exp(0.5 * RNG.normal(size=(*shape, D)))[..., None] * np.eye(D))


def gaussians(event_ndims=1):
    mean, logvar = normal(N, D, scale=2), normal(N, D, scale=1.5)
    theirs = npd.Normal(mean, jnp.exp(logvar / 2)).to_event(event_ndims)
    return ours.DiagGaussian(mean, logvar, event_ndims), theirs


def full_gaussians():
    mean, scale_tril = normal(N, D), lower(N)
    return ours.FullGaussian(mean, scale_tril), npd.MultivariateNormal(mean, scale_tril=scale_tril)


def laplaces():
    mean, log_scale = normal(N, D), normal(N, D)
    return ours.Laplace(mean, log_scale), npd.Laplace(mean, jnp.exp(log_scale)).to_event(1)


def bernoullis():
    logits = normal(N, D, scale=3)
    return ours.Bernoulli(logits), npd.Bernoulli(logits=logits).to_event(1)


def categoricals():
    logits = normal(N, D, M, scale=2)
    return ours.Categorical(logits), npd.Categorical(logits=logits).to_event(1)


def one_hot():
    logits = normal(N, D, M, scale=2)
    theirs = npd.Categorical(logits=logits).to_event(1)
    return ours.OneHotCategorical(logits.reshape(N, D * M), M), theirs


def beta_binomials(levels=12):
    log_alpha, log_beta = normal(N, D), normal(N, D)
    theirs = npd.BetaBinomial(jnp.exp(log_alpha), jnp.exp(log_beta), levels - 1).to_event(1)
    return ours.BetaBinomial(log_alpha, log_beta, levels), theirs


def negative_binomials():
    log_mean, log_r = normal(N, D) + 1, normal(N, D)
    theirs = npd.NegativeBinomial2(jnp.exp(log_mean), jnp.exp(log_r)).to_event(1)
    return ours.NegativeBinomial(log_mean, log_r), theirs


def student_ts():
    loc, log_scale, df = normal(N, D), normal(N, D), jnp.exp(normal(N, D) + 1) + 1
    theirs = npd.StudentT(df, loc, jnp.exp(log_scale)).to_event(1)
    return ours.StudentT(loc, log_scale, df), theirs


def log_normals():
    loc, log_scale = normal(N, D), normal(N, D, scale=0.4)
    return ours.LogNormal(loc, log_scale), npd.LogNormal(loc, jnp.exp(log_scale)).to_event(1)


def poissons():
    log_rate = normal(N, D, scale=2) + 1
    return ours.Poisson(log_rate), npd.Poisson(jnp.exp(log_rate)).to_event(1)


def zero_inflated():
    (counts, theirs), gate = negative_binomials(), normal(N, D)
    theirs = npd.ZeroInflatedDistribution(theirs.base_dist, gate_logits=gate).to_event(1)
    p = ours.ZeroInflatedNegativeBinomial(counts.log_mean, counts.log_inverse_dispersion, gate)
    return p, theirs


def ordinals():
    p = ours.Ordinal(normal(N, D), normal(N, D, M - 2))
    return p, npd.OrderedLogistic(p.loc, p.thresholds).to_event(1)


def mixtures():
    means, logvars, logits = normal(N, M, D, scale=2), normal(N, M, D), normal(N, M)
    components = npd.Normal(means, jnp.exp(logvars / 2)).to_event(1)
    theirs = npd.MixtureSameFamily(npd.Categorical(logits=logits), components)
    return ours.MixtureOfGaussians(means, logvars, logits), theirs


def mixed():
    """A table of two real columns and one binary: the product of both."""
    (a, theirs_a), (b, theirs_b) = gaussians(), bernoullis()
    return ours.Mixed((a, b), ((0, 2, 3), (1, 4, 5))), (theirs_a, theirs_b)


PAIRS = {
    "diag_gaussian": gaussians,
    "full_gaussian": full_gaussians,
    "laplace": laplaces,
    "bernoulli": bernoullis,
    "mixture": mixtures,
    "categorical": categoricals,
    "one_hot": one_hot,
    "beta_binomial": beta_binomials,
    "negative_binomial": negative_binomials,
    "student_t": student_ts,
    "log_normal": log_normals,
    "poisson": poissons,
    "zero_inflated": zero_inflated,
    "ordinal": ordinals,
}
MEANS = ("diag_gaussian", "full_gaussian", "laplace", "bernoulli", "mixture", "student_t")
MEANS_OF_COUNTS = ("beta_binomial", "negative_binomial", "poisson", "zero_inflated")


def value_of(name, theirs):
    """Draws of NumPyro's distribution: values in the bulk and in the tails."""
    return theirs.sample(jax.random.key(1), (7,))


def ours_of(name, value):
    """The value in our units: grids lie in [0, 1], one-hot vectors on one flat axis."""
    if name == "beta_binomial":
        return value / 11
    if name == "one_hot":
        value = jax.nn.one_hot(value, M)
        return value.reshape(*value.shape[:-2], -1)
    return value


@pytest.mark.parametrize("name", PAIRS)
def test_densities(name) -> None:
    p, theirs = PAIRS[name]()
    value = value_of(name, theirs)
    expected = np.float64(theirs.log_prob(value))
    assert expected.shape == (7, N)
    assert expected.std() > 0.1
    np.testing.assert_allclose(
        p.log_prob(jnp.float32(ours_of(name, value))), expected, rtol=2e-4, atol=2e-4
    )


@pytest.mark.parametrize("name", [*MEANS, *MEANS_OF_COUNTS, "log_normal"])
def test_means(name) -> None:
    p, theirs = PAIRS[name]()
    np.testing.assert_allclose(p.mean, ours_of(name, theirs.mean), rtol=1e-4, atol=1e-5)


def test_the_mean_of_one_hot_vectors_is_their_probabilities() -> None:
    p, theirs = one_hot()
    probabilities = theirs.base_dist.probs.reshape(N, -1)
    np.testing.assert_allclose(p.mean, probabilities, rtol=1e-4, atol=1e-6)


def test_standard_deviations() -> None:
    p, theirs = gaussians()
    np.testing.assert_allclose(p.stddev**2, theirs.variance, rtol=1e-5)


def test_the_columns_of_a_table() -> None:
    table, (gaussian, bernoulli) = mixed()
    x = gaussian.sample(jax.random.key(1))
    bits = bernoulli.sample(jax.random.key(2))
    value = jnp.zeros((N, 6)).at[:, jnp.array([0, 2, 3])].set(x)
    value = value.at[:, jnp.array([1, 4, 5])].set(jnp.float32(bits))
    expected = gaussian.log_prob(x) + bernoulli.log_prob(bits)
    np.testing.assert_allclose(table.log_prob(value), expected, rtol=1e-4, atol=1e-4)


def test_a_discretized_logistic_is_the_difference_of_two_cdfs() -> None:
    loc, log_scale, levels = normal(N, D, scale=0.2) + 0.5, normal(N, D) - 2, 9
    theirs = npd.Logistic(loc, jnp.exp(log_scale))
    k = jnp.asarray(RNG.integers(1, levels - 1, (N, D)))  # the ends are open
    edges = (theirs.cdf((k + 0.5) / (levels - 1)), theirs.cdf((k - 0.5) / (levels - 1)))
    p = ours.DiscretizedLogistic(loc, log_scale, levels)
    mass = np.exp(p.log_prob_terms(k / (levels - 1)))
    np.testing.assert_allclose(mass, edges[0] - edges[1], rtol=1e-3, atol=1e-6)


def test_a_flow_of_a_gaussian_is_the_transformed_distribution() -> None:
    """The log-normal of an exponential, from the change of variables of both packages."""
    from vae_jax.flows import Planar

    p, _ = gaussians()
    flow = Planar(normal(D), normal(D), normal())
    base = ours.DiagGaussian(p.mean[0], p.logvar[0])
    z0 = base.sample(jax.random.key(0), (N,))
    z, _ = flow.forward(z0)
    jacobian = jax.vmap(jax.jacfwd(lambda z: flow.forward(z)[0]))(z0)
    theirs = npd.Normal(base.mean, base.stddev).to_event(1).log_prob(z0)
    expected = theirs - jnp.linalg.slogdet(jacobian)[1]
    np.testing.assert_allclose(ours.Flowed(base, flow).log_prob(z), expected, rtol=1e-3, atol=1e-3)


def test_the_divergence_of_gaussians() -> None:
    (q, their_q), (p, their_p) = gaussians(), gaussians()
    expected = npd.kl_divergence(their_q, their_p)
    np.testing.assert_allclose(ours.kl_divergence(q, p), expected, rtol=1e-4, atol=1e-5)


def test_divergences_of_classes() -> None:
    """NumPyro has no closed form: its log-masses are summed over all values."""
    (q, their_q), (p, their_p) = one_hot(), one_hot()
    log_q, log_p = (
        jnp.stack([c.base_dist.log_prob(jnp.full((N, D), k)) for k in range(M)])
        for c in (their_q, their_p)
    )
    expected = (jnp.exp(log_q) * (log_q - log_p)).sum((0, 2))
    np.testing.assert_allclose(ours.kl_divergence(q, p), expected, rtol=1e-4, atol=1e-5)
    (q, their_q), (p, their_p) = bernoullis(), bernoullis()
    log_q, log_p = (
        jnp.stack([c.base_dist.log_prob(jnp.full((N, D), bit)) for bit in (0, 1)])
        for c in (their_q, their_p)
    )
    expected = (jnp.exp(log_q) * (log_q - log_p)).sum((0, 2))
    np.testing.assert_allclose(ours.kl_divergence(q, p), expected, rtol=1e-4, atol=1e-5)


def test_the_divergence_of_a_full_from_a_diagonal_gaussian() -> None:
    (q, their_q), (p, _) = full_gaussians(), gaussians()
    diagonal = npd.MultivariateNormal(p.mean, scale_tril=p.stddev[..., None] * jnp.eye(D))
    expected = npd.kl_divergence(their_q, diagonal)
    np.testing.assert_allclose(ours.kl_divergence(q, p), expected, rtol=1e-4, atol=1e-4)
