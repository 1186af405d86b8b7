"""Distributions of columns of tables where float32 is hard: large counts, far tails, draws."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, special, stats

from vae_jax import distributions as d

KEY = jax.random.key(0)
DRAWS = 20_000
terms = jax.jit(lambda p, x: p.log_prob_terms(x))
slope = jax.jit(jax.grad(lambda p, x: p.log_prob_terms(x).sum()))


def pairs(*arrays):
    """All combinations, as flat arrays."""
    return tuple(jnp.float32(x).reshape(-1) for x in np.meshgrid(*arrays))


def finite(tree):
    return all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(tree))


def test_student_t_of_any_df_and_far_out():
    """From a Cauchy to a Gaussian, and to residuals whose square is no float32."""
    loc, log_scale, df = pairs([-1, 0, 30], [-6, 0, 5], [0.3, 1, 2.5, 40, 1e3, 1e6, 1e8])
    p = d.StudentT(loc, log_scale, df)
    x = np.float32([-1e30, -1e8, -40, -1, -0.2, 0, 3, 30.01, 1e4, 1e25])[:, None]
    # scipy's own logpdf has no digits left at df = 1e8
    wide = [np.float64(array) for array in (loc, log_scale, df)]
    t = np.abs(np.float64(x) - wide[0]) / np.exp(wide[1])
    half = wide[2] / 2
    ratio = np.where(half < 1e4, special.gammaln(half + 0.5) - special.gammaln(half), 0)
    series = 0.5 * np.log(half) - 1 / (8 * half) + 1 / (192 * half**3)
    ratio = np.where(half < 1e4, ratio, series)
    expected = ratio - 0.5 * np.log(2 * half * np.pi) - wide[1]
    expected = expected - (half + 0.5) * np.log1p(t**2 / (2 * half))
    few = half < 1e3
    np.testing.assert_allclose(
        expected[:, few], stats.t.logpdf(np.float64(x), *(w[few] for w in (wide[2], wide[0])),
        np.exp(wide[1][few])), rtol=1e-9
    )  # fmt: skip
    shape = (len(x), len(loc))
    np.testing.assert_allclose(terms(p, jnp.broadcast_to(x, shape)), expected, rtol=2e-6, atol=2e-5)
    assert finite(slope(p, jnp.broadcast_to(x, shape)))


def test_student_t_tends_to_the_gaussian():
    loc, log_scale = jnp.float32([0.3, -1]), jnp.float32([0.5, -2])
    x = jnp.linspace(-4, 4, 9)[:, None]
    gaussian = d.DiagGaussian(loc, 2 * log_scale).log_prob_terms(x)
    np.testing.assert_allclose(
        d.StudentT(loc, log_scale, jnp.float32(1e9)).log_prob_terms(x), gaussian, rtol=1e-5
    )


@pytest.mark.parametrize("df", [0.8, 3.0, 400.0])
def test_draws_of_student_t(df):
    p = d.StudentT(jnp.float32([2.0]), jnp.float32([-1.0]), jnp.float32(df))
    draws = np.float64(p.sample(KEY, (DRAWS,)))[:, 0]
    assert stats.kstest(draws, stats.t(df, 2.0, np.exp(-1.0)).cdf).pvalue > 1e-3
    narrow = p.with_temperature(0.5).sample(KEY, (DRAWS,))[:, 0]
    np.testing.assert_allclose(narrow - 2, (draws - 2) / 2, rtol=2e-4, atol=1e-5)


def test_draws_of_student_t_move_with_their_parameters():
    """The gradient of E[f(x)], f bounded, against quadrature of f times the derivative of p."""
    loc, log_scale, df = 0.4, -0.3, 3.0

    def f(x):
        return jnp.tanh(x) + jnp.exp(-jnp.square(x))

    def mean(*parameters):
        p = d.StudentT(*(jnp.float32(a)[None] for a in parameters))
        return f(p.sample(KEY, (100_000,))[:, 0])

    x = np.linspace(-4000, 4000, 4_000_001)
    values = np.tanh(x) + np.exp(-(x**2))
    derivatives = jax.jacfwd(mean, (0, 1, 2))(loc, log_scale, df)
    for number, samples in enumerate(derivatives):
        sides = []
        for step in (1e-3, -1e-3):
            at = [loc, log_scale, df]
            at[number] += step
            sides.append(
                integrate.simpson(values * stats.t.pdf(x, at[2], at[0], np.exp(at[1])), x=x)
            )
        expected = (sides[0] - sides[1]) / 2e-3
        samples = np.float64(samples)
        stderr = samples.std() / np.sqrt(len(samples))
        assert abs(samples.mean() - expected) < 4 * stderr + 1e-5, number
        assert stderr < 0.3 * abs(expected), number


def test_poisson_up_to_large_counts():
    log_rate = jnp.float32([-200, -10, -1, 2, 7, 14, 16.1, np.log(1e7)])
    rate = np.exp(np.float64(log_rate))
    near = np.concatenate([rate + s * np.sqrt(rate) for s in (-3, -0.5, 0, 1, 4)])
    k = np.unique(np.round(np.concatenate([np.arange(30), np.geomspace(30, 1e7, 60), near])))
    k = np.float64(np.float32(k[k >= 0]))[:, None]
    shape = (len(k), len(rate))
    p, x = d.Poisson(log_rate), jnp.broadcast_to(jnp.float32(k), shape)
    # A rounding error of a log-rate near 16 is 1e-6, and changes the value by 1e-6 (k - rate).
    expected = stats.poisson.logpmf(k, rate)
    error = np.abs(np.float64(terms(p, x)) - expected)
    assert (error <= 1e-4 + 1e-6 * np.abs(k - rate) + 1e-6 * np.abs(expected)).all()
    gradient = jax.jacfwd(lambda log_rate: terms(d.Poisson(log_rate), x))(log_rate)
    gradient = np.diagonal(gradient, axis1=1, axis2=2)
    np.testing.assert_allclose(gradient, k - rate, rtol=1e-5, atol=2e-3 + 1e-6 * rate.max())
    small = rate < 10
    np.testing.assert_allclose(gradient[:, small], (k - rate)[:, small], rtol=1e-5, atol=1e-5)


def check_draws(draws, value, mass):
    """Mean and variance of draws [S, n] within 4 standard errors of masses [m, n]."""
    expected = (mass * value).sum(0)
    second, fourth = ((mass * (value - expected) ** power).sum(0) for power in (2, 4))
    draws = np.float64(draws)
    assert (np.abs(draws.mean(0) - expected) <= 4 * np.sqrt(second / len(draws))).all()
    error = 4 * np.sqrt((fourth - second**2) / len(draws))
    assert (np.abs(np.square(draws - expected).mean(0) - second) <= error).all()


COUNTED = {
    "poisson": d.Poisson(jnp.float32([-1.0, 0.5, 3.0])),
    "zero-inflated": d.ZeroInflatedNegativeBinomial(
        jnp.float32([1.0, 3.0, 0.0]), jnp.float32([0.5, 2.0, -0.5]), jnp.float32([0.4, -2.0, 2.0])
    ),
    "ordinal": d.Ordinal(jnp.float32([0.0, 2.0, -1.0]), jnp.float32([[0.1, -1], [2, 0], [0, 0]])),
}


@pytest.mark.parametrize("name", COUNTED)
def test_masses_sum_to_one_and_are_what_is_drawn(name):
    p = COUNTED[name]
    size = 4 if name == "ordinal" else 1000
    k = np.arange(size)[:, None]
    mass = np.exp(np.float64(terms(p, jnp.broadcast_to(jnp.float32(k), (size, 3)))))
    np.testing.assert_allclose(mass.sum(0), 1, atol=2e-5)
    draws = p.sample(KEY, (DRAWS,))
    assert draws.dtype == jnp.float32
    check_draws(draws, k, mass / mass.sum(0))
    if p.has_mean:
        np.testing.assert_allclose(p.mean, (mass * k).sum(0), rtol=1e-4)
    else:
        np.testing.assert_array_equal(p.center, mass.argmax(0))
        with pytest.raises(TypeError, match="likeliest"):
            _ = p.mean


def test_draws_of_log_normal():
    p = d.LogNormal(jnp.float32([1.0]), jnp.float32([-0.5]))
    draws = np.float64(p.sample(KEY, (DRAWS,)))[:, 0]
    assert stats.kstest(draws, stats.lognorm(np.exp(-0.5), 0, np.e).cdf).pvalue > 1e-3
    narrow = np.log(np.float64(p.with_temperature(0.5).sample(KEY, (DRAWS,))[:, 0]))
    np.testing.assert_allclose(narrow - 1, (np.log(draws) - 1) / 2, rtol=1e-4, atol=1e-5)
    wide = d.LogNormal(jnp.float32([-60.0, 60.0]), jnp.float32([2.0, 2.0]))
    assert finite((wide.mean, terms(wide, jnp.float32([1e-37, 1e38]))))


def test_extreme_columns_are_finite():
    families = [
        (d.ZeroInflatedNegativeBinomial, ([-10, 0, 17], [-7, 0, 10], [-1e4, -20, 0, 20, 1e4])),
        (d.LogNormal, ([-60, 0, 60], [-7, 0, 2])),
        (d.Poisson, ([-10, 0, 17],)),
    ]
    for family, ranges in families:
        p = family(*pairs(*ranges))
        for value in (0.0, 1.0, 2.0, 1e7):
            if family is d.LogNormal and not value:
                continue
            x = jnp.full((1, *p.event_shape), value)
            assert finite((terms(p, x), slope(p, x))), (family, value)
    loc, first, second = pairs([-1e4, -30, 0, 30, 1e4], [-30, -7, 0, 4], [-30, -7, 0, 4])
    p = d.Ordinal(loc, jnp.stack([first, second], -1))
    for code in range(4):
        x = jnp.full((1, *loc.shape), float(code))
        assert finite((terms(p, x), slope(p, x))), code


def test_close_thresholds_keep_their_mass():
    """log(sigmoid(u) - sigmoid(l)) of a gap of 1e-6 far out, where sigmoids are equal."""
    log_gap = np.log(1e-6)
    p = d.Ordinal(jnp.float32([-30.0, 0.0, 30.0]), jnp.full((3, 1), log_gap, jnp.float32))
    density = stats.logistic.logpdf(0, np.float64(p.loc))
    np.testing.assert_allclose(terms(p, jnp.ones(3)), density + log_gap, rtol=1e-5)
