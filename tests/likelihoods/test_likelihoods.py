"""Likelihoods of bytes, counts and tables against scipy, enumeration and Monte Carlo."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, special, stats

from vae_jax import likelihoods
from vae_jax.distributions import (
    Bernoulli,
    BetaBinomial,
    Categorical,
    ColorLogisticMixture,
    ContinuousBernoulli,
    DiagGaussian,
    DiscretizedLogistic,
    DiscretizedLogisticMixture,
    GridCategorical,
    Laplace,
    Mixed,
    NegativeBinomial,
)
from vae_jax.errors import InputError

jit = functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 1})
terms = jit(lambda p, x: p.log_prob_terms(x))
mean = jit(lambda p: p.mean)
sample = jit(lambda p, key, n: p.sample(key, (n,)), static_argnums=2)
slope = jit(jax.grad(lambda p, x: p.log_prob_terms(x).sum()))
KEY = jax.random.key(0)
DRAWS = 20_000


def pairs(a, b) -> tuple[jax.Array, jax.Array]:
    """All pairs, as two flat arrays."""
    return tuple(jnp.float32(x).reshape(-1) for x in np.meshgrid(a, b))


def random(*shape, scale=1.0) -> jax.Array:
    return jnp.float32(scale * np.random.default_rng(sum(shape)).normal(size=shape))


def grid_family(name: str, levels: int):
    """A distribution over [n], of ordinary parameters and of extreme ones."""
    if name == "logistic":
        return DiscretizedLogistic(
            *pairs([-1e4, -3, 0, 0.31, 0.52, 1, 40], [-30, -8, -6, -3, -1, 3, 30]), levels
        )
    if name == "mixture":
        loc, log_scale = pairs([-50, 0.2, 0.9], [-8, -2, 3])
        return DiscretizedLogisticMixture(
            *(x.reshape(3, 3).T for x in (loc, log_scale)),
            jnp.array([[0, 1, -2], [80, 0, 0], [0, -1e30, 1]]),
            levels,
        )
    if name == "categorical":
        return GridCategorical(
            jnp.stack([random(levels), 50 * random(levels), 1e30 * jnp.eye(levels)[0]])
        )
    return BetaBinomial(*pairs([-7, -1, 0, 2, 7], [-7, 0, 1, 7]), levels)


GRIDS = [
    (name, levels)
    for name in ("logistic", "mixture", "categorical", "beta-binomial")
    for levels in (2, 256)
]


@pytest.mark.parametrize(("name", "levels"), GRIDS)
def test_masses_on_a_grid(name, levels) -> None:
    p = grid_family(name, levels)
    x = np.arange(levels, dtype=np.float32)[:, None] / (levels - 1)
    log_mass = np.float64(terms(p, jnp.broadcast_to(x, (levels, *p.event_shape))))
    assert np.isfinite(log_mass).all()
    mass = np.exp(log_mass)
    np.testing.assert_allclose(mass.sum(0), 1, atol=5e-5)
    np.testing.assert_allclose(mean(p), (mass * x).sum(0), atol=5e-5)
    gradient = slope(p, jnp.broadcast_to(x, (levels, *p.event_shape)))
    assert all(np.isfinite(g).all() for g in jax.tree.leaves(gradient))
    moved = terms(p, jnp.broadcast_to(x + 0.3 / (levels - 1), (levels, *p.event_shape)))
    np.testing.assert_array_equal(
        moved, terms(p, jnp.broadcast_to(x, (levels, *p.event_shape)))
    )  # the nearest level counts


@pytest.mark.parametrize("levels", [3, 256])
def test_discretized_logistic_is_the_difference_of_two_sigmoids(levels) -> None:
    p = DiscretizedLogistic(*pairs([-6, 0, 0.31, 1, 5], [-4, -2, 0]), levels)
    k = np.arange(levels)[:, None]
    loc, scale = np.float64(p.loc), np.exp(np.float64(p.log_scale))
    upper = np.where(k == levels - 1, np.inf, ((k + 0.5) / (levels - 1) - loc) / scale)
    lower = np.where(k == 0, -np.inf, ((k - 0.5) / (levels - 1) - loc) / scale)
    # taken where both sigmoids are small, in float64
    difference = np.where(
        lower > 0,
        special.expit(-lower) - special.expit(-upper),
        special.expit(upper) - special.expit(lower),
    )
    x = jnp.broadcast_to(jnp.float32(k / (levels - 1)), difference.shape)
    np.testing.assert_allclose(terms(p, x), np.log(difference), rtol=1e-5, atol=2e-5)


def check_draws(draws, value, mass) -> None:
    """Moments of draws [S, n] within 4 stderr of masses [levels, n] at values [levels, 1]."""
    expected = (mass * value).sum(0)
    central = value - expected
    second, fourth = (mass * central**2).sum(0), (mass * central**4).sum(0)
    draws = np.float64(draws)
    assert (np.abs(draws.mean(0) - expected) <= 4 * np.sqrt(second / len(draws)) + 1e-5).all()
    error = 4 * np.sqrt(np.maximum(fourth - second**2, 0) / len(draws))
    assert (np.abs(np.square(draws - expected).mean(0) - second) <= error + 1e-5).all()


@pytest.mark.parametrize(
    "p",
    [
        DiscretizedLogistic(jnp.array([0.3, -0.05, 0.9]), jnp.array([-2.0, -1.0, -5.0]), 17),
        DiscretizedLogisticMixture(random(3, 2) * 0.5 + 0.5, random(3, 2) - 2, random(3, 2), 17),
        GridCategorical(random(3, 17)),
        BetaBinomial(jnp.array([0.0, 2.0, -2.0]), jnp.array([1.0, 0.0, -1.0]), 17),
    ],
    ids=lambda p: type(p).__name__,
)
def test_draws_on_a_grid(p) -> None:
    x = np.arange(17)[:, None] / 16
    draws = sample(p, KEY, DRAWS)
    assert draws.shape == (DRAWS, 3)
    assert draws.dtype == jnp.float32
    assert np.isin(np.float32(draws), np.float32(x)).all()
    check_draws(draws, x, np.exp(np.float64(terms(p, jnp.broadcast_to(jnp.float32(x), (17, 3))))))


def test_beta_binomial_is_scipys() -> None:
    p = grid_family("beta-binomial", 256)
    k = np.arange(256)[:, None]
    a, b = np.exp(np.float64(p.log_alpha)), np.exp(np.float64(p.log_beta))
    got = terms(p, jnp.broadcast_to(jnp.float32(k / 255), (256, len(a))))
    np.testing.assert_allclose(got, stats.betabinom.logpmf(k, 255, a, b), rtol=1e-6, atol=1e-4)


def test_negative_binomial_is_scipys() -> None:
    p = NegativeBinomial(*pairs([-10, -1, 2, 7, 14, 16.5], [-7, -1, 1, 5, 10]))
    k = np.unique(
        np.round(
            np.concatenate([np.arange(20), np.geomspace(20, 2**24, 60), np.exp([7, 14, 16.5])])
        )
    )[:, None]
    mu, r = np.exp(np.float64(p.log_mean)), np.exp(np.float64(p.log_inverse_dispersion))
    got = np.float64(terms(p, jnp.broadcast_to(jnp.float32(k), (len(k), len(r)))))
    np.testing.assert_allclose(got, stats.nbinom.logpmf(k, r, r / (r + mu)), rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(mean(p), mu, rtol=1e-5)
    gradient = slope(p, jnp.broadcast_to(jnp.float32(k), (len(k), len(r))))
    assert all(np.isfinite(g).all() for g in jax.tree.leaves(gradient))


def test_negative_binomial_sums_to_one_and_is_what_is_drawn() -> None:
    p = NegativeBinomial(jnp.array([-1.0, 1.0, 3.0]), jnp.array([0.0, -0.5, 5.0]))
    k = np.arange(2000)[:, None]
    mass = np.exp(np.float64(terms(p, jnp.broadcast_to(jnp.float32(k), (2000, 3)))))
    np.testing.assert_allclose(mass.sum(0), 1, atol=2e-5)
    check_draws(sample(p, KEY, DRAWS), k, mass / mass.sum(0))


def test_laplace_is_scipys() -> None:
    p = Laplace(*pairs([-1, 0, 30], [-2, 0, 4]))
    x = random(5, 9, scale=3)
    expected = stats.laplace.logpdf(
        np.float64(x), np.float64(p.mean), np.exp(np.float64(p.log_scale))
    )
    np.testing.assert_allclose(terms(p, x), expected, rtol=1e-5)
    draws = np.float64(sample(p, KEY, DRAWS))
    scale = np.exp(np.float64(p.log_scale))
    assert (np.abs(draws.mean(0) - p.mean) < 4 * scale * np.sqrt(2 / DRAWS)).all()
    assert (np.abs(np.abs(draws - p.mean).mean(0) - scale) < 4 * scale / np.sqrt(DRAWS)).all()
    np.testing.assert_allclose(
        p.with_temperature(0.5).log_scale, np.log(scale / 2), rtol=1e-5, atol=1e-6
    )
    assert (np.asarray(slope(p, jnp.broadcast_to(p.mean, (1, 9))).mean) == 0).all()


LOGITS = jnp.array(
    [-300, -20, -0.501, -0.499, -0.051, -0.049, -1e-4, -1e-20, 0, 1e-6, 0.05, 0.5, 3, 90],
    jnp.float32,
)
CONSTANTS = [
    2,
    3,
    11,
    12,
]  # where the formula of the paper is good in float64, on both sides of where the series begins


def test_continuous_bernoulli() -> None:
    p = ContinuousBernoulli(LOGITS)
    x = np.linspace(0, 1, 100_001)[:, None]
    log_density = np.float64(terms(p, jnp.broadcast_to(jnp.float32(x), (len(x), len(LOGITS)))))
    np.testing.assert_allclose(integrate.simpson(np.exp(log_density), x=x, axis=0), 1, atol=1e-5)
    first = integrate.simpson(np.exp(log_density) * x, x=x, axis=0)
    np.testing.assert_allclose(mean(p), first, rtol=1e-5, atol=2e-6)

    lam = special.expit(np.float64(LOGITS)[CONSTANTS])  # the constant as the paper has it
    constant = np.log(2 * np.arctanh(1 - 2 * lam) / (1 - 2 * lam))
    at_zero = np.float64(terms(p, jnp.zeros((1, len(LOGITS)))))[0, CONSTANTS]
    np.testing.assert_allclose(at_zero, constant + np.log1p(-lam), atol=1e-6)

    for value in (0.0, 0.25, 1.0):  # of an exponential family, the gradient is x - E[x]
        gradient = slope(p, jnp.full((1, len(LOGITS)), value)).logits
        np.testing.assert_allclose(gradient, value - first, atol=5e-6)


def test_continuous_bernoulli_beyond_any_need() -> None:
    p = ContinuousBernoulli(jnp.array([-1e30, -1e4, 1e4, 1e30]))
    for value in (0.0, 0.5, 1.0):
        x = jnp.full((1, 4), value)
        assert np.isfinite(terms(p, x)).all()
        assert np.isfinite(slope(p, x).logits).all()
    np.testing.assert_allclose(mean(p), [1e-30, 1e-4, 1 - 1e-4, 1], rtol=1e-5)
    assert np.isfinite(
        jit(jax.grad(lambda p: p.mean.sum() + p.sample(KEY, (50,)).sum()))(p).logits
    ).all()


def inverse_cdf(u, logit) -> np.ndarray:
    low = -np.log1p(u * np.expm1(-np.abs(logit))) / np.abs(logit)
    return 1 - low if logit > 0 else low


def test_continuous_bernoulli_draws() -> None:
    p = ContinuousBernoulli(LOGITS)
    draws = np.float64(sample(p, KEY, DRAWS))
    assert draws.min() >= 0
    assert draws.max() <= 1
    for logit, column in zip(np.float64(LOGITS), draws.T, strict=True):
        cdf = (
            (lambda x: x)
            if abs(logit) < 1e-9
            else (lambda x, logit=logit: np.expm1(logit * x) / np.expm1(logit))
        )
        assert stats.kstest(column, cdf).pvalue > 1e-4
    # dx / dl = (d/dl) F^-1(u): finite differences in float64 on both sides of the series threshold
    gradient = jit(
        jax.jacobian(lambda logits: ContinuousBernoulli(logits).sample(KEY, (4,)).sum(0))
    )(LOGITS).diagonal()
    u = np.float64(jax.random.uniform(KEY, (4, len(LOGITS)), jnp.float32))
    for i in (1, 2, 3, 4, 5, 10, 11, 12):
        logit = np.float64(LOGITS[i])
        expected = (
            inverse_cdf(u[:, i], logit * (1 + 1e-4)) - inverse_cdf(u[:, i], logit * (1 - 1e-4))
        ) / (2e-4 * logit)
        assert gradient[i] == pytest.approx(expected.sum(), rel=1e-3), logit
    np.testing.assert_allclose(gradient[8], (u[:, 8] * (1 - u[:, 8])).sum() / 2, rtol=1e-5)


# Colors


def colors(levels: int, *, coefficients=1.0, extreme=False) -> ColorLogisticMixture:
    """Over a batch of two images of 1 x 2 pixels, of two components."""
    shape = (2, 1, 2, 3, 2)
    rng = np.random.default_rng(0)
    loc, log_scale, c = (jnp.float32(rng.normal(size=shape)) for _ in range(3))
    if extreme:
        return ColorLogisticMixture(
            300 * loc, 12 * log_scale, jnp.sign(c), 90 * loc[..., 0, :], levels
        )
    return ColorLogisticMixture(
        0.5 + 0.3 * loc, log_scale - 1, coefficients * jnp.tanh(c), log_scale[..., 0, :], levels
    )


def np_color_mass(p: ColorLogisticMixture, pixel) -> np.ndarray:
    """P(pixel) of [2, 1, 2] pixels by the definition, in float64."""
    top = p.levels - 1
    loc, log_scale, c, logits = (
        np.float64(x) for x in (p.loc, p.log_scale, p.coefficients, p.logits)
    )
    r, g, _ = (k / top - 0.5 for k in pixel)
    locs = [
        loc[..., 0, :],
        loc[..., 1, :] + c[..., 0, :] * r,
        loc[..., 2, :] + c[..., 1, :] * r + c[..., 2, :] * g,
    ]
    mass = special.softmax(logits, -1)
    for channel, k in enumerate(pixel):

        def cdf(edge, i=channel):
            return special.expit((edge / top - locs[i]) / np.exp(log_scale[..., i, :]))

        mass = mass * ((cdf(k + 0.5) if k < top else 1) - (cdf(k - 0.5) if k > 0 else 0))
    return mass.sum(-1)


def test_colors_are_the_enumeration() -> None:
    p = colors(3)
    pixels = np.array(list(itertools.product(range(3), repeat=3)))
    x = jnp.broadcast_to(jnp.float32(pixels / 2)[:, None, None, None], (27, 2, 1, 2, 3))
    expected = np.stack([np_color_mass(p, pixel) for pixel in pixels])
    by_channel = np.float64(terms(p, x))
    np.testing.assert_allclose(np.exp(by_channel.sum(-1)), expected, rtol=1e-5)
    np.testing.assert_allclose(expected.sum(0), 1, rtol=1e-10)
    total = jit(lambda p, x: p.log_prob(x))(p, x)
    assert total.shape == (27, 2)
    np.testing.assert_allclose(total, np.log(expected).sum((2, 3)), rtol=1e-5)

    of_red = np.stack(
        [expected[pixels[:, 0] == k].sum(0) for k in range(3)]
    )  # p(r), and p(g | r) = p(r, g) / p(r)
    np.testing.assert_allclose(np.exp(by_channel[..., 0]), of_red[pixels[:, 0]], rtol=1e-5)
    of_both = np.stack([expected[(pixels[:, :2] == pair[:2]).all(1)].sum(0) for pair in pixels])
    np.testing.assert_allclose(
        np.exp(by_channel[..., 1]), of_both / of_red[pixels[:, 0]], rtol=1e-5
    )

    exact = np.einsum("nbhw,nc->bhwc", expected, pixels / 2)
    np.testing.assert_allclose(mean(p)[..., 0], exact[..., 0], atol=1e-5)
    independent = colors(3, coefficients=0.0)
    masses = np.stack([np_color_mass(independent, pixel) for pixel in pixels])
    np.testing.assert_allclose(
        mean(independent), np.einsum("nbhw,nc->bhwc", masses, pixels / 2), atol=1e-5
    )

    draws = np.asarray(sample(p, KEY, DRAWS))
    assert draws.shape == (DRAWS, 2, 1, 2, 3)
    codes = np.rint(draws * 2) @ [9, 3, 1]
    frequency = (codes[:, None] == np.arange(27)[:, None, None, None]).mean(0)
    assert (np.abs(frequency - expected) <= 4 * np.sqrt(expected * (1 - expected) / DRAWS)).all()


def test_the_mean_color_neglects_no_more_than_the_ends_cut_off() -> None:
    p = colors(256)
    p = ColorLogisticMixture(
        0.5 + 0.2 * (p.loc - 0.5), 0 * p.log_scale - 4, 0.3 * p.coefficients, p.logits, 256
    )
    draws = np.float64(sample(p, KEY, DRAWS))
    assert (np.abs(draws.mean(0) - mean(p)) < 4 * draws.std(0) / np.sqrt(DRAWS)).all()


def test_extreme_colors_are_finite() -> None:
    p = colors(256, extreme=True)
    x = jnp.stack([jnp.zeros((2, 1, 2, 3)), jnp.ones((2, 1, 2, 3)), jnp.full((2, 1, 2, 3), 0.5)])
    value, gradient = jit(jax.value_and_grad(lambda p: p.log_prob(x).sum()))(p)
    assert np.isfinite(value)
    assert all(np.isfinite(g).all() for g in jax.tree.leaves(gradient))


# Tables


def test_a_table_is_its_columns() -> None:
    logits, codes, more = random(4, 1), random(4, 2, 3), random(4, 2)
    parts = (
        Bernoulli(logits),
        Categorical(codes),
        DiagGaussian(more, jnp.ones(2)),
        NegativeBinomial(more[:, :1], more[:, 1:]),
    )
    p = Mixed(parts, ((2,), (0, 4), (5, 1), (3,)))
    assert p.event_shape == (6,)
    assert p.batch_shape == (4,)
    x = jnp.float32(
        [[0, -0.3, 1, 7, 2, 0.9], [2, 0.1, 0, 0, 1, -1], [1, 2, 1, 3, 0, 0.5], [0, 0, 0, 1, 1, 1]]
    )
    log_softmax = special.log_softmax(np.float64(codes), -1)
    rows, np_x, m = np.arange(4), np.asarray(x), np.float64(more)
    r, mu = np.exp(m[:, 1]), np.exp(m[:, 0])
    columns = [
        log_softmax[rows, 0, np_x[:, 0].astype(int)],
        stats.norm.logpdf(np_x[:, 1], m[:, 1], np.exp(0.5)),
        stats.bernoulli.logpmf(np_x[:, 2], special.expit(np.float64(logits[:, 0]))),
        stats.nbinom.logpmf(np_x[:, 3], r, r / (r + mu)),
        log_softmax[rows, 1, np_x[:, 4].astype(int)],
        stats.norm.logpdf(np_x[:, 5], m[:, 0], np.exp(0.5)),
    ]
    np.testing.assert_allclose(terms(p, x), np.stack(columns, -1), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(jit(lambda p, x: p.log_prob(x))(p, x), np.sum(columns, 0), rtol=1e-5)
    likeliest = log_softmax.argmax(-1)
    expected = [
        likeliest[:, 0],
        m[:, 1],
        special.expit(np.float64(logits[:, 0])),
        mu,
        likeliest[:, 1],
        m[:, 0],
    ]
    np.testing.assert_allclose(mean(p), np.stack(expected, -1), rtol=1e-5)
    draws = np.asarray(sample(p, KEY, 4000))
    assert draws.shape == (4000, 4, 6)
    for code in range(3):
        probability = np.exp(log_softmax[:, :, code])
        frequency = (draws[..., [0, 4]] == code).mean(0)
        assert (
            np.abs(frequency - probability) < 4 * np.sqrt(probability * (1 - probability) / 4000)
        ).all()
    with pytest.raises(TypeError, match="likeliest"):
        _ = parts[1].mean


def test_columns_are_parsed() -> None:
    columns = likelihoods.parse_columns(("gaussian*2", "bernoulli", "categorical:5*2", " counts "))
    kinds = ["gaussian", "gaussian", "bernoulli", "categorical", "categorical", "counts"]
    assert [column.kind for column in columns] == kinds
    assert [column.categories for column in columns] == [1, 1, 1, 5, 5, 1]
    assert likelihoods.parse_columns("gaussian*2, bernoulli,categorical:5*2,counts") == columns


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (("gausian",), "did you mean 'gaussian'"),
        (("gaussian:3",), r"gaussian\*N"),
        (("categorical",), "CATEGORIES must be an integer from 2"),
        (("categorical:1",), "from 2"),
        (("ordinal",), "CATEGORIES must be an integer from 2"),
        (("ordinal:1",), "from 2"),
        (("poisson:3",), r"poisson\*N"),
        (("student-t",), "did you mean 'student_t'"),
        (("categorical:-3",), "from 2"),
        (("categorical:\u00b2",), "from 2"),
        (("counts*0",), r"N of \*N must be an integer from 1"),
        (("counts*x",), "from 1"),
        ((), "at least one"),
        ("", "unknown"),
        ((3,), "not a string"),
    ],
)
def test_columns_that_are_none(columns, message) -> None:
    with pytest.raises(InputError, match=message):
        likelihoods.parse_columns(columns)


def test_tables_that_do_not_fit_their_columns() -> None:
    columns = "gaussian,bernoulli,categorical:3,counts"
    good = np.array([[0.3, 1, 2, 900], [-5, 0, 0, 0]], np.float32)
    likelihoods.check_table(columns, good)
    for column, value in ((1, 0.5), (2, 3), (2, 0.5), (2, -1), (3, -1), (3, 0.5), (1, np.nan)):
        bad = good.copy()
        bad[0, column] = value
        with pytest.raises(InputError, match=f"column {column} is"):
            likelihoods.check_table(columns, bad)
    columns = "student_t,positive,poisson,zero_inflated,ordinal:4"
    good = np.array([[-0.3, 0.2, 5, 0, 3], [4, 1e9, 0, 7, 0]], np.float32)
    likelihoods.check_table(columns, good)
    for column, value, allowed in (
        (1, 0, "numbers above 0"),
        (1, -2, "numbers above 0"),
        (1, np.inf, "numbers above 0"),
        (2, 0.5, "integers from 0 on"),
        (3, -1, "integers from 0 on"),
        (4, 4, "integers from 0 to 3"),
    ):
        bad = good.copy()
        bad[0, column] = value
        with pytest.raises(InputError, match=f"column {column} is .*, which allows {allowed}"):
            likelihoods.check_table(columns, bad)
    columns, good = "gaussian,bernoulli,categorical:3,counts", np.zeros((2, 4))
    with pytest.raises(InputError, match="there are 4"):
        likelihoods.check_table(columns, good[:, :3])
    with pytest.raises(InputError, match="there are 2, but the event has shape"):
        likelihoods.Mixed((3,), "gaussian*2").init(KEY, jnp.ones((1, 2)))


# Heads

TABLE = (
    "counts",
    "categorical:3",
    "gaussian",
    "bernoulli",
    "categorical:3",
    "categorical:2",
    "gaussian",
)
HEADS = [
    likelihoods.ContinuousBernoulli((2, 3, 1)),
    likelihoods.Laplace((4,), 0.3),
    likelihoods.LearnedLaplace((2, 3, 2), (2,)),
    likelihoods.PredictedLaplace((2, 3, 2)),
    likelihoods.DiscretizedLogistic((2, 3, 1)),
    likelihoods.DiscretizedLogisticMixture((2, 3, 1), components=3),
    likelihoods.DiscretizedLogisticMixture((2, 3, 3), components=3),
    likelihoods.Categorical((2, 3, 1), 5),
    likelihoods.BetaBinomial((2, 3, 1), 17),
    likelihoods.NegativeBinomial((5,)),
    likelihoods.NegativeBinomial((5,), ()),
    likelihoods.Mixed((7,), TABLE),
    likelihoods.Mixed((7,), ("student_t*2", "positive", "ordinal:3*2", "poisson", "zero_inflated")),
    likelihoods.StudentT((2, 3, 2)),
    likelihoods.StudentT((5,), "predicted"),
    likelihoods.Poisson((5,)),
    likelihoods.ZeroInflatedNegativeBinomial((5,)),
    likelihoods.LogNormal((5,)),
]


def a_value(head) -> jax.Array:
    """A value with mass in every dimension."""
    shape = (2, 3, *head.event_shape)
    numbers = jnp.arange(np.prod(shape)).reshape(shape)
    if isinstance(head, likelihoods.Mixed):
        is_positive = jnp.array(head.positive_columns())
        return jnp.float32(jnp.where(is_positive, 1 + numbers % 2, numbers % 2))
    if head.positive:
        return 0.5 + numbers % 5
    if head.levels:
        return numbers % head.levels / (head.levels - 1)
    return jnp.float32(numbers % 7) if head.integers else numbers % 5 / 4


@pytest.mark.parametrize("head", HEADS, ids=lambda head: type(head).__name__)
def test_head(head) -> None:
    event, h, x = tuple(head.event_shape), random(6, 5), a_value(head)
    weights = jnp.arange(1.0, 7).reshape(2, 3)  # so that no gradient cancels between examples

    def score(params):
        log_px = head.apply(params, h, (2, 3)).log_prob(x)
        return (log_px * weights).sum(), log_px

    params = jit(head.init, static_argnums=2)(KEY, h, (2, 3))
    gradients, log_px = jit(jax.grad(score, has_aux=True))(params)
    assert log_px.shape == (2, 3)
    assert np.isfinite(log_px).all()
    for gradient in jax.tree.leaves(gradients):
        assert np.isfinite(gradient).all()
        assert (np.asarray(gradient) != 0).mean() > 0.9
    p = jax.eval_shape(lambda: head.apply(params, h.astype(jnp.bfloat16), (2, 3)))
    assert (p.event_shape, p.batch_shape) == (event, (2, 3))
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(p))
    for shaped in (lambda p: p.mean, lambda p: p.log_prob_terms(x)):
        assert jax.eval_shape(shaped, p).shape == (2, 3, *event)
    assert jax.eval_shape(lambda p: p.sample(KEY, (7,)), p).shape == (7, 2, 3, *event)


def test_heads_say_what_they_are_for() -> None:
    facts = {
        likelihoods.Bernoulli: ((0, 1), True, 0, False),
        likelihoods.ContinuousBernoulli: ((0, 1), False, 0, False),
        likelihoods.PredictedGaussian: (likelihoods.REALS, False, 0, False),
        likelihoods.LearnedLaplace: (likelihoods.REALS, False, 0, False),
        likelihoods.DiscretizedLogistic: ((0, 1), False, 256, False),
        likelihoods.NegativeBinomial: ((0, np.inf), False, 0, True),
        likelihoods.StudentT: (likelihoods.REALS, False, 0, False),
        likelihoods.Poisson: ((0, np.inf), False, 0, True),
        likelihoods.ZeroInflatedNegativeBinomial: ((0, np.inf), False, 0, True),
        likelihoods.LogNormal: ((0, np.inf), False, 0, False),
        likelihoods.Mixed: (likelihoods.REALS, False, 0, False),
    }
    for head, expected in facts.items():
        made = head((4,))
        assert (made.support, made.binary, made.levels, made.integers) == expected
    assert likelihoods.Categorical((4,), 2).binary
    assert likelihoods.LogNormal((4,)).positive
    likelihoods.check_support(likelihoods.LogNormal((4,)), np.full((1, 4), 0.1))
    with pytest.raises(InputError, match="LogNormal needs values above 0"):
        likelihoods.check_support(likelihoods.LogNormal((4,)), np.zeros((1, 4)))
    x = np.array([[0, 1, 1], [1, 0, 1]])
    with pytest.raises(InputError, match="x has values of 0 in column 1: "):
        likelihoods.check_support(likelihoods.LogNormal((3,)), x, np.arange(6).reshape(2, 3) > 0)
    with pytest.raises(InputError, match="levels = 1"):
        likelihoods.BetaBinomial((4,), 1)


def test_a_grid_head_starts_out_close_to_uniform() -> None:
    # Features of zeros give the masses before training: not all at the ends without gradients.
    x = jnp.arange(256.0).reshape(256, 1, 1) / 255
    for head in (
        likelihoods.DiscretizedLogistic((1, 1)),
        likelihoods.DiscretizedLogisticMixture((1, 1)),
    ):
        log_px = jit(
            lambda head=head: head.init_with_output(KEY, jnp.zeros((1, 4)))[0].log_prob(x)
        )()
        assert -np.asarray(log_px).mean() < np.log(256) + 0.5
