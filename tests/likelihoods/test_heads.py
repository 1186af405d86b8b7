"""Each head against scipy: its last layer by numpy, at scales that are not the default."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special, stats

from vae_jax import likelihoods

RNG = np.random.default_rng(4)
N, F, D = 9, 3, 4
LOGVARS, LOG_COUNTS, LOG_MEANS, LOG_RS = (-14, 8), (-7, 7), (-10, 17), (-7, 10)
LOG_SCALES, LOGISTIC_SCALES = (-7, 4), (-8, 3)


def clipped(x, low, high):
    """`soft_clip` in float64: up from `low`, then down from `high`."""
    x = low + np.logaddexp(0, x - low)
    return high - (high - low) / np.logaddexp(0, high - low) * np.logaddexp(0, high - x)


def gaussian(x, mean, stddev):
    return stats.norm.logpdf(x, mean, stddev)


def logistic(x, loc, log_scale, levels=6):
    """The log-mass of the grid value x, with open ends."""

    def side(edge, sign):
        return special.expit(sign * (edge / (levels - 1) - loc) / np.exp(log_scale))

    k = np.round(x * (levels - 1))
    last, first = k == levels - 1, k == 0
    below = np.where(last, 1.0, side(k + 0.5, 1)) - np.where(first, 0.0, side(k - 0.5, 1))
    above = np.where(first, 1.0, side(k - 0.5, -1)) - np.where(last, 0.0, side(k + 0.5, -1))
    return np.log(np.where(k / (levels - 1) < loc, below, above))  # in the tail that is near


def mixture(x, numbers):
    loc, scale, logits = np.split(numbers, 3, axis=-1)
    loc = loc + (np.arange(2) + 0.5) / 2
    mass = np.exp(logistic(x[..., None], loc, clipped(scale - 2, *LOGISTIC_SCALES)))
    return np.log((special.softmax(logits, -1) * mass).sum(-1))


def beta_binomial(x, a, b):
    a, b = (np.exp(clipped(number, *LOG_COUNTS)) for number in (a, b))
    return stats.betabinom.logpmf(np.round(x * 5), 5, a, b)


def negative_binomial(x, raw, log_r):
    mu, r = np.exp(clipped(raw, *LOG_MEANS)), np.exp(clipped(log_r, *LOG_RS))
    return stats.nbinom.logpmf(x, r, r / (r + mu))


def continuous_bernoulli(x, logits):
    return x * logits + np.log(logits / np.expm1(logits))


HEADS = {  # head, its parameter moved by hand, value, log-density of (x, raw, parameter)
    "bernoulli": (
        likelihoods.Bernoulli((D,)),
        "bits",
        lambda x, raw, _: (
            x * special.log_expit(raw[..., 0]) + (1 - x) * special.log_expit(-raw[..., 0])
        ),
    ),
    "continuous bernoulli": (
        likelihoods.ContinuousBernoulli((D,)),
        "units",
        lambda x, raw, _: continuous_bernoulli(x, raw[..., 0]),
    ),
    "gaussian": (
        likelihoods.Gaussian((D,), 0.3),
        "reals",
        lambda x, raw, _: gaussian(x, raw[..., 0], 0.3),
    ),
    "learned gaussian": (
        likelihoods.LearnedGaussian((D,), (D,), 0.3),
        "reals",
        lambda x, raw, logvar: gaussian(x, raw[..., 0], np.exp(clipped(logvar, *LOGVARS) / 2)),
    ),
    "predicted gaussian": (
        likelihoods.PredictedGaussian((D,)),
        "reals",
        lambda x, raw, _: gaussian(x, raw[..., 0], np.exp(clipped(raw[..., 1], *LOGVARS) / 2)),
    ),
    "laplace": (
        likelihoods.Laplace((D,), 0.3),
        "reals",
        lambda x, raw, _: stats.laplace.logpdf(x, raw[..., 0], 0.3),
    ),
    "learned laplace": (
        likelihoods.LearnedLaplace((D,), (D,), 0.3),
        "reals",
        lambda x, raw, s: stats.laplace.logpdf(x, raw[..., 0], np.exp(clipped(s, *LOG_SCALES))),
    ),
    "predicted laplace": (
        likelihoods.PredictedLaplace((D,)),
        "reals",
        lambda x, raw, _: stats.laplace.logpdf(
            x, raw[..., 0], np.exp(clipped(raw[..., 1], *LOG_SCALES))
        ),
    ),
    "discretized logistic": (
        likelihoods.DiscretizedLogistic((D,), 6),
        "grid",
        lambda x, raw, _: logistic(
            x, 0.5 + raw[..., 0], clipped(raw[..., 1] - 2, *LOGISTIC_SCALES)
        ),
    ),
    "logistic mixture": (
        likelihoods.DiscretizedLogisticMixture((D,), 6, components=2),
        "grid",
        lambda x, raw, _: mixture(x, raw),
    ),
    "categorical": (
        likelihoods.Categorical((D,), 6),
        "grid",
        lambda x, raw, _: np.take_along_axis(
            special.log_softmax(raw, -1), np.int64(np.round(5 * x))[..., None], -1
        )[..., 0],
    ),
    "beta-binomial": (
        likelihoods.BetaBinomial((D,), 6),
        "grid",
        lambda x, raw, _: beta_binomial(x, raw[..., 0], raw[..., 1]),
    ),
    "negative binomial": (
        likelihoods.NegativeBinomial((D,)),
        "counts",
        lambda x, raw, log_r: negative_binomial(x, raw[..., 0], log_r),
    ),
}
VALUES = {
    "bits": np.float64(RNG.random((N, D)) < 0.5),
    "units": np.float64(np.float32(RNG.random((N, D)))),
    "reals": np.float64(np.float32(RNG.normal(size=(N, D)))),
    "grid": RNG.integers(0, 6, (N, D)) / 5,
    "counts": np.float64(RNG.integers(0, 9, (N, D))),
}


@pytest.mark.parametrize("name", HEADS)
def test_a_head_is_scipys(name) -> None:
    head, values, log_density = HEADS[name]
    x, h = VALUES[values], np.float32(RNG.normal(size=(N, F)))
    shapes = jax.eval_shape(head.init, jax.random.key(0), h)
    params = jax.tree.map(lambda leaf: np.float32(0.6 * RNG.normal(size=leaf.shape)), shapes)
    layer = params["params"]["EventLayer_0"]["out"]
    raw = (np.float64(h) @ np.float64(layer["kernel"]) + layer["bias"]).reshape(N, D, -1)
    own = [np.float64(v) for k, v in params["params"].items() if k != "EventLayer_0"]
    expected = log_density(x, raw, own[0] if own else None)
    terms = jax.jit(lambda x: head.apply(params, h).log_prob_terms(x))(jnp.float32(x))
    np.testing.assert_allclose(terms, expected, rtol=1e-4, atol=1e-4)
    assert np.abs(expected).max() > 0.3


@pytest.mark.parametrize("scale", [0.05, 0.3, 4.0])
def test_learned_scales_start_where_they_are_told(scale) -> None:
    x, h = VALUES["reals"], np.zeros((N, F), np.float32)
    for head, density in (
        (likelihoods.LearnedGaussian((D,), (), scale), stats.norm),
        (likelihoods.LearnedLaplace((D,), (), scale), stats.laplace),
        (likelihoods.Gaussian((D,), scale), stats.norm),
        (likelihoods.Laplace((D,), scale), stats.laplace),
    ):
        p, _ = head.init_with_output(jax.random.key(0), h)
        np.testing.assert_allclose(
            p.log_prob(jnp.float32(x)), density.logpdf(x, 0, scale).sum(-1), rtol=1e-4
        )


def test_the_dispersion_starts_where_it_is_told() -> None:
    head = likelihoods.NegativeBinomial((D,), init_inverse_dispersion=3.0)
    p, _ = head.init_with_output(jax.random.key(0), np.zeros((N, F), np.float32))
    np.testing.assert_allclose(p.log_inverse_dispersion, math.log(3.0), rtol=1e-4)
