"""Densities and divergences against scipy, quadrature, enumeration and Monte Carlo."""

import functools
import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, special, stats

from vae_jax import distributions, likelihoods
from vae_jax.distributions import (
    Bernoulli,
    Deterministic,
    DiagGaussian,
    OptimalGaussian,
    has_closed_form_kl,
    monte_carlo_kl,
    soft_clip,
)
from vae_jax.posteriors import bounded_logvar, softplus_logvar

jit = functools.partial(
    jax.jit, compiler_options={"xla_backend_optimization_level": 1}
)  # a quarter of the time to compile
NORMALS = [  # mean and logvar of q, mean and logvar of p
    (0.3, -0.4, 0.0, 0.0),
    (-1.0, 1.2, 0.5, -0.7),
    (2.0, -3.0, 1.9, -3.1),
    (0.0, 2.0, 0.0, 0.0),
]
EVENTS = {1: (4,), 3: (3, 2, 2)}
BATCH = (5,)


log_prob = jit(lambda p, x: p.log_prob(x))
log_prob_terms = jit(lambda p, x: p.log_prob_terms(x))
kl_divergence = jit(distributions.kl_divergence)
kl_terms = jit(distributions.kl_terms)
sample = jit(lambda p, key, shape=(): p.sample(key, shape), static_argnums=2)


def normal(shape, scale=1.0):
    return np.float32(scale * np.random.default_rng(math.prod(shape)).normal(size=shape))


def example(family, event_ndims):
    """A distribution over BATCH, and a value it can score."""
    x, value = normal((2, *BATCH, *EVENTS[event_ndims]))
    fields = (x, 0.5 * x[..., ::-1] - 0.3) if family is DiagGaussian else (x,)
    p = family(*fields, event_ndims)
    if family is Bernoulli:
        value = np.float32(value > 0)
    if family is Deterministic:
        value = x
    return jax.tree.map(jnp.asarray, p), value


def np_soft_clip(x, low, high):
    """The formula in float64, the other way about: down from `high` after up from `low`."""
    x = low + np.logaddexp(0, np.asarray(x, np.float64) - low)
    scale = (high - low) / np.logaddexp(0, high - low)
    return high - scale * np.logaddexp(0, high - x)


# Densities


@pytest.mark.parametrize("event_ndims", EVENTS)
def test_diag_gaussian_is_scipys(event_ndims):
    q, x = example(DiagGaussian, event_ndims)
    scale = np.exp(np.float64(q.logvar) / 2)
    terms = stats.norm.logpdf(np.float64(x), np.float64(q.mean), scale)
    np.testing.assert_allclose(log_prob_terms(q, x), terms, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(log_prob(q, x), terms.reshape(5, -1).sum(1), rtol=1e-5)
    np.testing.assert_allclose(q.stddev, scale, rtol=1e-5)


@pytest.mark.parametrize(("mean", "logvar"), [(0.0, 0.0), (1.5, -3.0), (-2.0, 2.5)])
def test_diag_gaussian_integrates_to_one(mean, logvar):
    x = mean + math.exp(logvar / 2) * np.linspace(-9, 9, 2001)
    q = DiagGaussian(jnp.full((1,), mean), jnp.full((1,), logvar))
    density = np.exp(np.float64(log_prob(q, jnp.float32(x)[:, None])))
    assert integrate.simpson(density, x=x) == pytest.approx(1, abs=1e-5)
    assert integrate.simpson(density * (x - mean) ** 2, x=x) == pytest.approx(
        math.exp(logvar), rel=1e-5
    )


def test_bernoulli_sums_to_one_over_all_binary_vectors():
    p = Bernoulli(normal((3, 6), 3.0))
    x = jnp.float32(list(itertools.product((0, 1), repeat=6)))
    mass = np.exp(np.float64(p.log_prob(x[:, None])))
    np.testing.assert_allclose(mass.sum(0), 1, rtol=1e-5)
    np.testing.assert_allclose(
        mass.T @ np.asarray(x), special.expit(np.float64(p.logits)), rtol=1e-5
    )


@pytest.mark.parametrize("event_ndims", EVENTS)
def test_bernoulli_is_scipys(event_ndims):
    p, x = example(Bernoulli, event_ndims)
    terms = stats.bernoulli.logpmf(np.int64(x), special.expit(np.float64(p.logits)))
    np.testing.assert_allclose(log_prob_terms(p, x), terms, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(log_prob(p, x), terms.reshape(5, -1).sum(1), rtol=1e-5)
    np.testing.assert_allclose(p.mean, special.expit(np.float64(p.logits)), rtol=1e-5)


def test_bernoulli_of_gray_values_is_the_cross_entropy():
    logits, x = np.linspace(-30, 30, 13), np.linspace(0, 1, 13)
    exact = x * special.log_expit(logits) + (1 - x) * special.log_expit(-logits)
    np.testing.assert_allclose(
        Bernoulli(jnp.float32(logits)).log_prob_terms(jnp.float32(x)), exact, rtol=1e-5, atol=1e-12
    )


# Gaussian pixels: what each head makes of its parameters


PIXELS = (2, 3, 2)


def head_density(head, logvar=None):
    """The head's distribution over [2, 3, *PIXELS] of K B = 6 features, a value, its means."""
    h = normal((6, 5))
    params = jit(head.init, static_argnums=2)(jax.random.key(0), h, (2, 3))
    if logvar is not None:
        assert params["params"]["logvar"].shape == np.shape(logvar)
        params["params"]["logvar"] = jnp.float32(logvar)
    p = jit(head.apply, static_argnums=2)(params, h, (2, 3))
    dense = params["params"]["EventLayer_0"]["out"]
    out = np.float64(h) @ np.float64(dense["kernel"]) + np.float64(dense["bias"])
    return p, normal((3, *PIXELS)), out


@pytest.mark.parametrize("sigma", [0.1, 1.0, 3.0])
def test_fixed_sigma(sigma):
    p, x, mean = head_density(likelihoods.Gaussian(PIXELS, sigma))
    exact = stats.norm.logpdf(np.float64(x), mean.reshape(2, 3, *PIXELS), sigma).sum((2, 3, 4))
    np.testing.assert_allclose(log_prob(p, x), exact, rtol=1e-5)


@pytest.mark.parametrize(
    "sigma_shape", [(), PIXELS[-1:], PIXELS], ids=["scalar", "channel", "pixel"]
)
def test_learned_sigma(sigma_shape):
    logvar = np.random.default_rng(1).uniform(-4, 2, sigma_shape)
    p, x, mean = head_density(likelihoods.LearnedGaussian(PIXELS, sigma_shape), logvar)
    mean, exact = mean.reshape(2, 3, *PIXELS), np.zeros((2, 3))
    for row, column, channel in np.ndindex(PIXELS):
        mine = {0: (), 1: (channel,), 3: (row, column, channel)}[len(sigma_shape)]
        sigma = np.exp(np_soft_clip(logvar[mine], -14, 8) / 2)
        at = (..., row, column, channel)
        exact += stats.norm.logpdf(np.float64(x)[at], mean[at], sigma)
    np.testing.assert_allclose(log_prob(p, x), exact, rtol=1e-5)


def test_learned_sigma_starts_where_it_is_told():
    p, _, _ = head_density(likelihoods.LearnedGaussian(PIXELS, (), 0.5))
    np.testing.assert_allclose(p.stddev, 0.5, rtol=1e-4)


def test_predicted_sigma():
    p, x, out = head_density(likelihoods.PredictedGaussian(PIXELS))
    mean, raw = np.moveaxis(out.reshape(2, 3, *PIXELS, 2), -1, 0)
    sigma = np.exp(np_soft_clip(raw, -14, 8) / 2)
    np.testing.assert_allclose(
        log_prob(p, x), stats.norm.logpdf(np.float64(x), mean, sigma).sum((2, 3, 4)), rtol=1e-5
    )


def test_bernoulli_head():
    p, x, logits = head_density(likelihoods.Bernoulli(PIXELS))
    x = jnp.float32(x > 0)
    exact = stats.bernoulli.logpmf(np.int64(x), special.expit(logits.reshape(2, 3, *PIXELS))).sum(
        (2, 3, 4)
    )
    np.testing.assert_allclose(log_prob(p, x), exact, rtol=1e-5)


# The optimal sigma


@pytest.mark.parametrize("scale", [1e-3, 0.3, 20.0])
def test_optimal_gaussian_is_the_maximum_over_sigma(scale):
    mean, x = normal((2, 3, *PIXELS)), normal((3, *PIXELS), 0.5)
    x = mean[0] + scale * x
    total = float(OptimalGaussian(mean, 3).log_prob(x).sum())
    residual = np.float64(x) - np.float64(mean)
    optimum = np.sqrt(np.mean(residual**2))
    grid = optimum * np.exp(np.linspace(-1, 1, 401))
    totals = stats.norm.logpdf(residual[..., None], 0, grid).sum(tuple(range(residual.ndim)))
    assert np.all(total >= totals - 1e-4)
    assert total == pytest.approx(totals.max(), rel=1e-5)
    assert 150 <= totals.argmax() <= 250
    assert totals.max() > totals[0] + 1
    assert totals.max() > totals[-1] + 1


def test_optimal_gaussian_head_scores_as_the_fixed_one_at_that_sigma():
    p, x, mean = head_density(likelihoods.OptimalGaussian(PIXELS))
    residual = np.float64(x) - mean.reshape(2, 3, *PIXELS)
    exact = stats.norm.logpdf(residual, 0, np.sqrt(np.mean(residual**2))).sum((2, 3, 4))
    np.testing.assert_allclose(log_prob(p, x), exact, rtol=1e-5)


def test_gradient_of_the_optimal_gaussian_is_the_total_derivative():
    mean, x = normal((2, 4, 7)) * np.float32([1, 0.3])[:, None, None]
    gradient = jax.grad(lambda mean: OptimalGaussian(mean).log_prob(x).sum())(mean)
    residual = np.float64(x) - np.float64(mean)
    # The sum is -n/2 (log(2 pi e) + log s^2) with s^2 the mean square; d/dmean is residual / s^2.
    np.testing.assert_allclose(gradient, residual / np.mean(residual**2), rtol=1e-5)

    def at_its_optimum(mean):
        squared = jnp.square(x - mean)
        return -0.5 * squared.size * (math.log(2 * math.pi) + jnp.log(jnp.mean(squared)) + 1)

    np.testing.assert_allclose(gradient, jax.grad(at_its_optimum)(mean), rtol=1e-5)


def test_optimal_gaussian_of_a_perfect_reconstruction_is_finite():
    x = normal((2, 3))
    value, gradient = jax.value_and_grad(lambda mean: OptimalGaussian(mean).log_prob(x).sum())(x)
    assert np.isfinite(value)
    assert np.all(np.isfinite(gradient))


def test_optimal_gaussian_cannot_be_sampled():
    p, _ = example(OptimalGaussian, 1)
    for draw in (p.sample, p.sample_and_log_prob):
        with pytest.raises(TypeError, match="no scale before it has seen data"):
            draw(jax.random.key(0))


# Divergences


@pytest.mark.parametrize(("mean", "logvar", "p_mean", "p_logvar"), NORMALS)
def test_kl_of_gaussians_is_the_integral(mean, logvar, p_mean, p_logvar):
    q, p = stats.norm(mean, math.exp(logvar / 2)), stats.norm(p_mean, math.exp(p_logvar / 2))
    low, high = q.interval(1 - 1e-14)
    exact, _ = integrate.quad(
        lambda x: q.pdf(x) * (q.logpdf(x) - p.logpdf(x)), low, high, epsabs=1e-10
    )
    kl = kl_divergence(
        *(
            DiagGaussian(jnp.array([m]), jnp.array([v]))
            for m, v in ((mean, logvar), (p_mean, p_logvar))
        )
    )
    assert float(kl) == pytest.approx(exact, rel=1e-4)


def test_kl_of_gaussians_is_exactly_zero_at_equality_and_accurate_near_it():
    p = DiagGaussian(normal((5, 3)), normal((5, 3)))
    np.testing.assert_array_equal(kl_terms(p, p), 0)
    standard = DiagGaussian(jnp.zeros(1), jnp.zeros(1))
    for shift in (1e-4, 1e-2):
        assert float(
            kl_divergence(DiagGaussian(jnp.array([shift]), jnp.zeros(1)), standard)
        ) == pytest.approx(shift**2 / 2)
        near = DiagGaussian(jnp.zeros(1), jnp.array([shift]))
        assert float(kl_divergence(near, standard)) == pytest.approx(
            0.5 * (math.expm1(shift) - shift), abs=1e-9, rel=1e-3
        )


LOGITS = [-100.0, -15.0, -2.0, 0.0, 0.7, 5.0, 15.0, 100.0]


@pytest.mark.parametrize("logit", LOGITS)
def test_kl_of_bernoullis_is_the_sum_over_both_values(logit):
    p_logits = np.array(LOGITS)
    exact = special.expit(logit) * (special.log_expit(logit) - special.log_expit(p_logits))
    exact += special.expit(-logit) * (special.log_expit(-logit) - special.log_expit(-p_logits))
    kl = kl_terms(Bernoulli(jnp.full(len(LOGITS), logit)), Bernoulli(jnp.float32(p_logits)))
    np.testing.assert_allclose(kl, exact, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("event_ndims", EVENTS)
@pytest.mark.parametrize("family", [DiagGaussian, Bernoulli])
def test_kl_agrees_with_monte_carlo(family, event_ndims):
    q, _ = example(family, event_ndims)
    p = jax.tree.map(lambda leaf: 0.6 * leaf[::-1] + 0.8, q)
    kl = kl_divergence(q, p)
    assert kl.shape == BATCH
    np.testing.assert_allclose(kl, np.reshape(kl_terms(q, p), (5, -1)).sum(1), rtol=1e-5)
    mean, stderr = jit(monte_carlo_kl, static_argnums=3)(jax.random.key(1), q, p, 20_000)
    assert mean.shape == stderr.shape == BATCH
    assert np.all(np.abs(mean - kl) <= 4 * stderr)
    assert np.all(4 * stderr < 0.1 * kl)  # a wrong closed form would be seen


def test_the_standard_error_of_monte_carlo_kl_is_the_spread_of_its_estimates():
    q, p = (
        DiagGaussian(jnp.array([0.5, -1.0]), jnp.array([-0.5, 0.3])),
        DiagGaussian(jnp.zeros(2), jnp.zeros(2)),
    )
    means, stderrs = jit(jax.vmap(lambda key: monte_carlo_kl(key, q, p, 50)))(
        jax.random.split(jax.random.key(0), 2000)
    )
    assert np.std(means) == pytest.approx(
        np.sqrt(np.mean(np.square(stderrs))), rel=4 * np.sqrt(2 / 2000)
    )


def test_a_prior_without_a_batch_meets_a_posterior_with_one():
    q, _ = example(DiagGaussian, 1)
    p = DiagGaussian(jnp.zeros(4), jnp.zeros(4))
    mean, var = np.float64(q.mean), np.exp(np.float64(q.logvar))
    np.testing.assert_allclose(
        kl_divergence(q, p), 0.5 * (var + mean**2 - 1 - np.log(var)).sum(1), rtol=1e-5
    )


@pytest.mark.parametrize(
    "pair", [(Bernoulli, DiagGaussian), (DiagGaussian, Bernoulli), (OptimalGaussian, DiagGaussian)]
)
def test_kl_without_a_closed_form_is_refused(pair):
    q, p = (example(family, 1)[0] for family in pair)
    assert not has_closed_form_kl(q, p)
    with pytest.raises(
        TypeError,
        match=rf"no closed form for KL\({pair[0].__name__} \|\| {pair[1].__name__}\).*Monte Carlo",
    ):
        kl_divergence(q, p)


# Extremes


bernoulli_and_gradient = jit(jax.value_and_grad(lambda logits, x: Bernoulli(logits).log_prob(x)))


@pytest.mark.parametrize("logit", [-1e4, -100.0, 0.0, 100.0, 1e4])
@pytest.mark.parametrize("x", [0.0, 0.25, 1.0])
def test_bernoulli_at_extreme_logits(logit, x):
    value, gradient = bernoulli_and_gradient(np.float32([logit]), np.float32([x]))
    assert float(value) == pytest.approx(
        x * special.log_expit(logit) + (1 - x) * special.log_expit(-logit), rel=1e-6
    )
    assert float(gradient[0]) == pytest.approx(x - special.expit(logit), abs=1e-7)


def test_bernoulli_has_its_curvature_at_logit_zero():
    curvature = jit(jax.grad(jax.grad(lambda logit: Bernoulli(logit[None]).log_prob(jnp.ones(1)))))(
        0.0
    )
    assert float(curvature) == pytest.approx(-0.25)


def test_gradients_of_the_kl_of_bernoullis_are_finite():
    gradients = jit(
        jax.grad(lambda q, p: distributions.kl_divergence(Bernoulli(q), Bernoulli(p)), (0, 1))
    )
    for q, p in itertools.product((-1e4, 0.0, 1e4), repeat=2):
        assert np.all(np.isfinite(gradients(np.float32([q]), np.float32([p]))))


@pytest.mark.parametrize("logvar_fn", [bounded_logvar, softplus_logvar])
def test_scales_at_extreme_features(logvar_fn):
    prior = DiagGaussian(jnp.zeros(3), jnp.zeros(3))

    def terms(mean, raw):
        q = DiagGaussian(mean, logvar_fn(raw))
        z = q.sample(jax.random.key(0))
        numbers = jnp.stack(
            [q.log_prob(z), q.log_prob(mean + 1), distributions.kl_divergence(q, prior), z.sum()]
        )
        return numbers, q.logvar

    derivatives = jit(jax.jacrev(terms, (0, 1), has_aux=True))
    values = jit(terms)
    for raw in (-1e4, -14.0, -3.0, 0.0, 8.0, 1e4):
        arguments = np.float32([-1, 0, 2]), np.full(3, raw, np.float32)
        jacobians, logvar = derivatives(*arguments)
        assert all(np.all(np.isfinite(leaf)) for leaf in (*jacobians, values(*arguments)[0]))
        exact = (
            np_soft_clip(raw, -14, 8)
            if logvar_fn is bounded_logvar
            else 2 * np.log(np.logaddexp(0, raw) + 1e-3)
        )
        np.testing.assert_allclose(logvar, exact, rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize(("low", "high"), [(-14.0, 8.0), (-1.0, 1.0), (0.0, 100.0)])
def test_soft_clip(low, high):
    x = np.concatenate([[-1e30, -1e4], np.linspace(low - 20, high + 20, 801), [1e4, 1e30]])
    y = np.asarray(jit(soft_clip)(np.float32(x), low, high))
    np.testing.assert_allclose(y, np_soft_clip(np.float32(x), low, high), rtol=1e-5, atol=1e-5)
    ulp = float(np.spacing(np.float32(max(abs(low), abs(high)))))
    assert np.all(np.diff(y) >= -ulp)
    assert np.all(np.diff(y[np.abs(x - (low + high) / 2) < (high - low) / 2 + 5]) > 0)
    assert np.all((y >= low - ulp) & (y <= high + ulp))
    assert y[0] == pytest.approx(low, abs=ulp)
    assert y[-1] == pytest.approx(high, abs=ulp)
    slopes = np.asarray(jit(jax.vmap(jax.grad(lambda x: soft_clip(x, low, high))))(np.float32(x)))
    assert np.all((slopes >= 0) & (slopes <= 1 + 1e-6))


def test_soft_clip_is_close_to_the_identity_inside():
    x = np.linspace(-9, 3, 101)
    np.testing.assert_allclose(soft_clip(jnp.float32(x), -14.0, 8.0), x, atol=0.01)
    x = np.linspace(-4, -2, 11)
    np.testing.assert_allclose(soft_clip(jnp.float32(x), -14.0, 8.0), x, atol=1e-4)


# What every family does


FAMILIES = [DiagGaussian, Bernoulli, OptimalGaussian, Deterministic]


@pytest.mark.parametrize("event_ndims", EVENTS)
@pytest.mark.parametrize("family", FAMILIES)
def test_terms_sum_to_log_prob(family, event_ndims):
    p, x = example(family, event_ndims)
    terms = log_prob_terms(p, x)
    assert p.event_shape == EVENTS[event_ndims]
    assert terms.shape == x.shape
    assert log_prob(p, x).shape == BATCH
    np.testing.assert_allclose(log_prob(p, x), np.reshape(terms, (5, -1)).sum(1), rtol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_value_of_another_event_shape_is_refused(family):
    for event_ndims, wrong in (
        (1, [(5, 3), (5, 1), (4, 5), ()]),
        (3, [(5, 3, 2, 1), (5, 2, 3, 2), (2, 2), (3, 2, 2, 1)]),
    ):
        p, x = example(family, event_ndims)
        for shape in wrong:
            with pytest.raises(AssertionError):
                log_prob(p, jnp.zeros(shape))
        log_prob(p, x)


@pytest.mark.parametrize("event_ndims", EVENTS)
@pytest.mark.parametrize("family", [DiagGaussian, Bernoulli, Deterministic])
def test_samples_and_their_log_prob(family, event_ndims):
    p, _ = example(family, event_ndims)
    key = jax.random.key(0)
    for shape in ((), (2,), (2, 3)):
        draw = jax.eval_shape(lambda p, shape=shape: p.sample_and_log_prob(key, shape), p)
        assert [leaf.shape for leaf in draw] == [
            (*shape, *BATCH, *EVENTS[event_ndims]),
            (*shape, *BATCH),
        ]
    value, log_q = jit(lambda p: p.sample_and_log_prob(key, (2, 3)))(p)
    np.testing.assert_array_equal(value, sample(p, key, (2, 3)))
    np.testing.assert_allclose(log_q, log_prob(p, value), rtol=1e-5)


NUM_SAMPLES = 40_000


def test_samples_of_a_gaussian_have_its_moments():
    q, _ = example(DiagGaussian, 1)
    z = np.float64(sample(q, jax.random.key(1), (NUM_SAMPLES,)))
    mean, var = np.float64(q.mean), np.exp(np.float64(q.logvar))
    assert np.all(np.abs(z.mean(0) - mean) <= 4 * np.sqrt(var / NUM_SAMPLES))
    assert np.all(np.abs(z.var(0) - var) <= 4 * var * np.sqrt(2 / NUM_SAMPLES))
    eps = ((z - mean) / np.sqrt(var)).reshape(NUM_SAMPLES, -1)
    correlation = eps.T @ eps / NUM_SAMPLES  # of dimensions and of examples
    assert np.all(np.abs(correlation - np.diag(np.diag(correlation))) <= 4.5 / np.sqrt(NUM_SAMPLES))
    assert stats.kstest(eps[:, 0], "norm").pvalue > 1e-3


def test_samples_of_a_bernoulli_have_its_mean():
    p, _ = example(Bernoulli, 3)
    x = np.float64(sample(p, jax.random.key(1), (NUM_SAMPLES,)))
    assert set(np.unique(x)) == {0, 1}
    mean = special.expit(np.float64(p.logits))
    assert np.all(np.abs(x.mean(0) - mean) <= 4 * np.sqrt(mean * (1 - mean) / NUM_SAMPLES))


def test_the_gradient_through_a_gaussian_sample_is_reparameterised():
    mean, logvar, key = jnp.array([1.0, -2.0]), jnp.array([0.5, -1.0]), jax.random.key(0)
    by_mean, by_logvar = jax.jacrev(lambda m, v: DiagGaussian(m, v).sample(key), (0, 1))(
        mean, logvar
    )
    z = DiagGaussian(mean, logvar).sample(key)
    np.testing.assert_allclose(by_mean, np.eye(2))
    np.testing.assert_allclose(by_logvar, np.diag((z - mean) / 2), rtol=1e-5)


def test_one_scale_for_all_broadcasts():
    mean, x = normal((2, 5, *PIXELS))
    p = DiagGaussian(mean, jnp.array(-0.8), 3)
    full = DiagGaussian(mean, jnp.full(mean.shape, -0.8), 3)
    np.testing.assert_allclose(p.log_prob(x), full.log_prob(x), rtol=1e-6)
    key = jax.random.key(0)
    np.testing.assert_allclose(p.sample(key), full.sample(key), rtol=1e-6)


@pytest.mark.parametrize("event_ndims", EVENTS)
@pytest.mark.parametrize("family", FAMILIES)
def test_a_distribution_is_a_pytree(family, event_ndims):
    p, x = example(family, event_ndims)
    returned = jit(lambda p: p)(p)
    assert type(returned) is family
    assert returned.event_ndims == event_ndims
    jax.tree.map(np.testing.assert_array_equal, p, returned)
    np.testing.assert_allclose(jit(lambda p, x: p.log_prob(x))(p, x), log_prob(p, x), rtol=1e-5)
    mapped = jax.vmap(lambda p, x: log_prob(p, x))(p, x)
    one_by_one = [jax.tree.map(lambda leaf, i=i: leaf[i], p).log_prob(x[i]) for i in range(5)]
    np.testing.assert_allclose(mapped, one_by_one, rtol=1e-5)


def test_a_point_mass():
    q, _ = example(Deterministic, 1)
    np.testing.assert_array_equal(
        sample(q, jax.random.key(0), (3,)), np.broadcast_to(q.mean, (3, 5, 4))
    )
    assert np.all(np.isposinf(log_prob(q, q.mean)))
    assert np.all(np.isneginf(log_prob(q, q.mean + 1)))
    assert np.all(
        np.isneginf(log_prob(q, np.asarray(q.mean) + np.float32([0, 0, 1, 0])))
    )  # one coordinate off is off
    kl = kl_divergence(q, DiagGaussian(jnp.zeros(4), jnp.zeros(4)))
    assert kl.shape == BATCH
    assert np.all(np.isposinf(kl))
    gradient = jax.grad(
        lambda mean: jnp.sum(Deterministic(mean).sample(jax.random.key(0), (3,)) ** 2)
    )(q.mean)
    np.testing.assert_allclose(gradient, 6 * q.mean, rtol=1e-5)
