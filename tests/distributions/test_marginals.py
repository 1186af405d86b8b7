"""Means, variances and probabilities against draws, and mixtures of them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vae_jax import distributions as d
from vae_jax.errors import UnsupportedError

KEY = jax.random.key(0)
LOC = jnp.array([[-0.7, 0.2, 1.1]])
NUMBERS = [
    d.DiagGaussian(LOC, jnp.array([-1.0, 0.0, 0.5])),
    d.Laplace(LOC, jnp.array(-0.3)),
    d.StudentT(LOC, jnp.array(-0.3), jnp.array(9.0)),
    d.LogNormal(LOC, jnp.array(-1.0)),
    d.Bernoulli(LOC),
    d.ContinuousBernoulli(4 * LOC),
    d.BetaBinomial(LOC, jnp.array(0.4), levels=9),
    d.Poisson(LOC),
    d.NegativeBinomial(LOC, jnp.array(0.7)),
    d.ZeroInflatedNegativeBinomial(LOC, jnp.array(0.7), jnp.array(-0.4)),
    d.GridCategorical(jnp.stack([LOC, 2 * LOC, -LOC], -1)),
    d.DiscretizedLogistic(0.4 * LOC, jnp.array(-2.0), levels=9),
    d.Deterministic(LOC),
    d.Scaled(d.DiagGaussian(LOC, jnp.zeros(3)), d.Affine((5.0, 0.0, 1.0), (10.0, 1.0, 0.1))),
    d.BatchShaped(d.DiagGaussian(LOC, jnp.zeros(3)), (1,)),
]


@pytest.mark.parametrize("p", NUMBERS, ids=lambda p: type(p).__name__)
def test_moments_are_those_of_draws(p):
    number = 20_000
    x = np.asarray(p.sample(KEY, (number,)), np.float64)
    found = d.marginals(p, KEY)
    if isinstance(p, d.DiscretizedLogistic):  # its variance is estimated by one draw
        keys = jax.random.split(KEY, 4_000)
        found = jax.vmap(lambda key: d.marginals(p, key))(keys).mix(jnp.ones((4_000, 1)))
    deviation = x.std(0)
    assert np.all(np.abs(found.center - x.mean(0)) <= 4 * deviation / np.sqrt(number) + 1e-6)
    fourth = ((x - x.mean(0)) ** 4).mean(0)
    error = np.sqrt(np.maximum(fourth - deviation**4, 0) / number)
    slack = 3 if isinstance(p, d.DiscretizedLogistic) else 1
    assert np.all(np.abs(found.stddev**2 - deviation**2) <= 5 * slack * error + 1e-6)
    assert np.isnan(found.probability).all()


@pytest.mark.parametrize(
    "p", [d.Categorical(jnp.stack([LOC, 2 * LOC, -LOC], -1)), d.Ordinal(LOC, jnp.zeros((3, 2)))]
)
def test_codes_have_probabilities(p):
    found = d.marginals(p, KEY)
    codes = jnp.arange(found.probabilities.shape[-1], dtype=jnp.float32)
    mass = jnp.exp(p.log_prob_terms(jnp.broadcast_to(codes[:, None, None], (len(codes), 1, 3))))
    np.testing.assert_allclose(jnp.moveaxis(found.probabilities, -1, 0), mass, rtol=1e-5)
    assert (found.center == p.center).all()
    np.testing.assert_allclose(found.probability, mass.max(0), rtol=1e-5)
    assert np.isnan(found.stddev).all()


def test_a_mixture_has_the_variance_of_its_means_too():
    p = d.DiagGaussian(
        jnp.array([[1e4], [1e4 + 3.0], [7.0]]), jnp.log(jnp.array([1.0, 4.0, 9.0]))[:, None]
    )
    found = d.marginals(p, KEY).mix(jnp.array([1.0, 3.0, 0.0]))
    np.testing.assert_allclose(found.center, [1e4 + 2.25])
    variance = (1 + 3 * 4) / 4 + (2.25**2 + 3 * 0.75**2) / 4
    np.testing.assert_allclose(found.stddev**2, [variance], rtol=1e-3)


def test_infinite_variances_without_weight_count_for_nothing():
    p = d.StudentT(jnp.zeros((2, 1)), jnp.zeros(1), jnp.array([[1.0], [4.0]]))
    assert np.isinf(d.marginals(p, KEY).stddev[0])
    np.testing.assert_allclose(d.marginals(p, KEY).mix(jnp.array([0.0, 2.0])).stddev ** 2, [2.0])


def test_columns_of_a_table_stay_in_place():
    parts = (
        d.Categorical(jnp.array([[[0.0, 3.0, 1.0]]])),
        d.DiagGaussian(jnp.array([[5.0, 6.0]]), jnp.zeros(2)),
        d.Bernoulli(jnp.array([[-1.0]])),
    )
    p = d.Mixed(parts, ((1,), (3, 0), (2,)))
    found = d.marginals(d.Scaled(p, d.Affine((1.0, 0, 0, 2.0), (1.0, 1, 1, 2.0))), KEY)
    np.testing.assert_allclose(found.center, [[7.0, 1.0, 0.0, 12.0]])
    np.testing.assert_allclose(found.stddev, [[1.0, np.nan, np.nan, 2.0]])
    np.testing.assert_allclose(found.probability[0, 2], 1 / (1 + np.exp(-1.0)), rtol=1e-6)


def test_no_mean_and_no_codes_is_an_error():
    class Other(d.Distribution):
        has_mean = False

    with pytest.raises(UnsupportedError, match="Other has no mean of each entry"):
        d.marginals(Other(), KEY)
