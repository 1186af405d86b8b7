"""Gradients of log-densities against float64: central differences of scipy, and digamma."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special, stats

from vae_jax import distributions

RNG = np.random.default_rng(2)
N, H = 25, 1e-5
LEVELS = 8


def normal(*shape, scale=1.0, shift=0.0):
    """Numbers that float32 has exactly, so that both sides see the same ones."""
    return np.float64(np.float32(scale * RNG.normal(size=shape) + shift))


def np_logistic_mass(loc, log_scale, k, levels=LEVELS):
    """P(k) in float64, with open ends."""

    def cdf(edge):
        return special.expit((edge / (levels - 1) - loc) / np.exp(log_scale))

    upper = np.where(k == levels - 1, 1.0, cdf(k + 0.5))
    lower = np.where(k == 0, 0.0, cdf(k - 0.5))
    return upper - lower


def np_mixture(loc, log_scale, logits, k):
    mass = np_logistic_mass(loc, log_scale, k[:, None])
    return np.log((special.softmax(logits, -1) * mass).sum(-1))


def np_colors(loc, log_scale, coefficients, logits, k):
    """Channels [3] of one pixel, components [3, M], by the definition."""
    x = k / (LEVELS - 1) - 0.5
    c = coefficients
    loc = np.stack(
        [loc[:, 0], loc[:, 1] + c[:, 0] * x[:, :1],
         loc[:, 2] + c[:, 1] * x[:, :1] + c[:, 2] * x[:, 1:2]], 1
    )  # fmt: skip
    mass = np_logistic_mass(loc, log_scale, k[:, :, None]).prod(1)
    return np.log((special.softmax(logits, -1) * mass).sum(-1))


def np_continuous_bernoulli(logits, x):
    return x * logits + np.log(logits / np.expm1(logits))


def np_student_t(loc, log_scale, df, x):
    return stats.t.logpdf(x, df, loc, np.exp(log_scale))


def np_zero_inflated(m, r, gate, k):
    counted = special.log_expit(-gate) + np_negative_binomial(m, r, k)
    return np.where(k == 0, np.logaddexp(special.log_expit(gate), counted), counted)


def np_negative_binomial(m, r, k):
    return stats.nbinom.logpmf(k, np.exp(r), 1 / (1 + np.exp(m - r)))


def np_ordinal(loc, log_gaps, k):
    """Differences of cumulative probabilities; the thresholds lie around 0."""
    steps = np.cumsum(np.concatenate([0 * loc[:, None], np.exp(log_gaps)], -1), -1)
    cumulative = special.expit(steps - steps[:, -1:] / 2 - loc[:, None])
    cumulative = np.concatenate([0 * loc[:, None], cumulative, 0 * loc[:, None] + 1], -1)
    return np.log(np.take_along_axis(np.diff(cumulative), np.int64(k)[:, None], -1)[:, 0])


def counts(high):
    return RNG.integers(0, high, N).astype(float)


SCALE = {"scale": 0.5, "shift": -1.5}
FAMILIES = {  # of ours, arrays, value; the log-density in float64 of arrays and value
    "gaussian": (
        distributions.DiagGaussian,
        [normal(N), normal(N)],
        normal(N),
        lambda m, v, x: stats.norm.logpdf(x, m, np.exp(v / 2)),
    ),
    "laplace": (
        distributions.Laplace,
        [normal(N), normal(N)],
        normal(N),
        lambda m, s, x: stats.laplace.logpdf(x, m, np.exp(s)),
    ),
    "bernoulli": (
        distributions.Bernoulli,
        [normal(N, scale=3)],
        counts(2),
        lambda logits, x: x * special.log_expit(logits) + (1 - x) * special.log_expit(-logits),
    ),
    "continuous bernoulli": (
        distributions.ContinuousBernoulli,
        [normal(N, scale=3)],
        np.float64(np.float32(RNG.random(N))),
        np_continuous_bernoulli,
    ),
    "categorical": (
        lambda logits: distributions.Categorical(logits),
        [normal(N, 5, scale=2)],
        counts(5),
        lambda logits, x: np.take_along_axis(
            special.log_softmax(logits, -1), np.int64(x)[:, None], -1
        )[:, 0],
    ),
    "discretized logistic": (
        lambda loc, s: distributions.DiscretizedLogistic(loc, s, LEVELS),
        [normal(N, scale=0.3, shift=0.5), normal(N, **SCALE)],
        counts(LEVELS),
        lambda loc, s, k: np.log(np_logistic_mass(loc, s, k)),
    ),
    "logistic mixture": (
        lambda loc, s, w: distributions.DiscretizedLogisticMixture(loc, s, w, LEVELS),
        [normal(N, 3, scale=0.3, shift=0.5), normal(N, 3, **SCALE), normal(N, 3)],
        counts(LEVELS),
        np_mixture,
    ),
    "beta-binomial": (
        lambda a, b: distributions.BetaBinomial(a, b, LEVELS),
        [normal(N), normal(N)],
        counts(LEVELS),
        lambda a, b, k: stats.betabinom.logpmf(k, LEVELS - 1, np.exp(a), np.exp(b)),
    ),
    "negative binomial": (
        distributions.NegativeBinomial,
        [normal(N, shift=1), normal(N)],
        counts(20),
        np_negative_binomial,
    ),
    "student t": (
        distributions.StudentT,
        [normal(N), normal(N), np.abs(normal(N, scale=3)) + 0.5],
        normal(N, scale=4),
        np_student_t,
    ),
    "log-normal": (
        distributions.LogNormal,
        [normal(N), normal(N, scale=0.5)],
        np.float64(np.float32(np.exp(normal(N)))),
        lambda m, s, x: stats.lognorm.logpdf(x, np.exp(s), 0, np.exp(m)),
    ),
    "poisson": (
        distributions.Poisson,
        [normal(N, shift=1)],
        counts(20),
        lambda m, k: stats.poisson.logpmf(k, np.exp(m)),
    ),
    "zero-inflated": (
        distributions.ZeroInflatedNegativeBinomial,
        [normal(N, shift=1), normal(N), normal(N)],
        counts(4) * counts(6),
        np_zero_inflated,
    ),
    "ordinal": (
        distributions.Ordinal,
        [normal(N), normal(N, 3)],
        counts(5),
        np_ordinal,
    ),
    "binary ordinal": (
        distributions.Ordinal,
        [normal(N), normal(N, 0)],
        counts(2),
        np_ordinal,
    ),
}
ON_GRID = ("discretized logistic", "logistic mixture", "beta-binomial", "colors")
SMOOTH = (  # in their value
    *("gaussian", "laplace", "continuous bernoulli", "bernoulli", "student t", "log-normal"),
)


def differences(function, arrays, number):
    """The gradient of the sum of a function by one array, in float64."""
    array = arrays[number]
    result = np.empty_like(array)
    for place in np.ndindex(*array.shape[1:]):
        sides = []
        for step in (H, -H):
            moved = array.copy()
            moved[(slice(None), *place)] += step
            sides.append(function(*arrays[:number], moved, *arrays[number + 1 :]))
        result[(slice(None), *place)] = (sides[0] - sides[1]) / (2 * H)
    return result


@pytest.mark.parametrize("name", FAMILIES)
def test_gradients_by_parameters_and_value(name) -> None:
    family, arrays, value, exact = FAMILIES[name]
    scale = LEVELS - 1 if name in ON_GRID else 1

    def score(*arguments):
        *arrays, value = arguments
        return family(*arrays).log_prob_terms(value).sum()

    inputs = [jnp.float32(array) for array in (*arrays, value / scale)]
    numbers = tuple(range(len(arrays) + (name in SMOOTH)))
    gradients = jax.jit(jax.grad(score, numbers))(*inputs)
    for number, gradient in zip(numbers, gradients, strict=True):
        expected = differences(exact, [*arrays, value], number)
        np.testing.assert_allclose(gradient, expected, rtol=1e-3, atol=2e-4)
        assert np.abs(expected).max(initial=0) > 0.1 or not expected.size


def test_gradients_of_colors() -> None:
    m = 2
    loc, log_scale = normal(N, 3, m, scale=0.3, shift=0.5), normal(N, 3, m, **SCALE)
    coefficients, logits = normal(N, 3, m, scale=0.5), normal(N, m)
    k = RNG.integers(0, LEVELS, (N, 3)).astype(float)

    def score(*arrays):
        *first, logits = (array[:, None, None] for array in arrays)
        p = distributions.ColorLogisticMixture(*first, logits, LEVELS)
        return p.log_prob(jnp.float32(k / (LEVELS - 1))[:, None, None]).sum()

    arrays = [loc, log_scale, coefficients, logits]
    gradients = jax.jit(jax.grad(score, range(4)))(*(jnp.float32(a) for a in arrays))
    for number, gradient in enumerate(gradients):
        expected = differences(lambda *a: np_colors(*a, k), arrays, number)
        np.testing.assert_allclose(gradient, expected, rtol=2e-3, atol=5e-4)


def test_gradients_of_counts_by_digamma() -> None:
    """The derivatives of the gamma functions in closed form, at counts from few to many."""
    psi = special.digamma
    for n in (3, 255):
        a, b = normal(N, scale=1.5), normal(N, scale=1.5)
        k = RNG.integers(0, n + 1, N).astype(float)
        alpha, beta = np.exp(a), np.exp(b)
        common = psi(alpha + beta) - psi(n + alpha + beta)
        exact = (
            alpha * (psi(k + alpha) - psi(alpha) + common),
            beta * (psi(n - k + beta) - psi(beta) + common),
        )

        def score(a, b, n=n, k=k):
            p = distributions.BetaBinomial(a, b, n + 1)
            return p.log_prob_terms(jnp.float32(k / n)).sum()

        gradients = jax.jit(jax.grad(score, (0, 1)))(jnp.float32(a), jnp.float32(b))
        for ours, theirs in zip(gradients, exact, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=2e-3, atol=2e-3)
    m, s = normal(N, shift=2), normal(N)
    mu, r = np.exp(m), np.exp(s)
    k = RNG.poisson(mu).astype(float)
    exact = (
        r * (k - mu) / (r + mu),
        r * (psi(k + r) - psi(r) + np.log(r / (r + mu)) + (mu - k) / (r + mu)),
    )

    def count_score(m, s):
        return distributions.NegativeBinomial(m, s).log_prob_terms(jnp.float32(k)).sum()

    gradients = jax.jit(jax.grad(count_score, (0, 1)))(jnp.float32(m), jnp.float32(s))
    for ours, theirs in zip(gradients, exact, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-3)
