"""Standard deviations of posteriors against draws."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vae_jax.distributions import Deterministic, DiagGaussian, FullGaussian, StudentT
from vae_jax.experiment.rows.answers import posterior_stddev

MEAN = jnp.array([[0.5, -1.0]])


@pytest.mark.parametrize(
    "q",
    [
        DiagGaussian(MEAN, jnp.log(jnp.array([4.0, 0.25]))),
        FullGaussian(MEAN, jnp.array([[[2.0, 0.0], [1.5, 0.5]]])),
        StudentT(MEAN, jnp.log(jnp.array([2.0, 0.5])), jnp.array([9.0, 30.0])),
    ],
)
def test_the_standard_deviation_is_that_of_draws(q):
    draws = q.sample(jax.random.key(0), (40_000,))
    np.testing.assert_allclose(posterior_stddev(q), draws.std(0), rtol=0.03)


def test_without_one():
    assert posterior_stddev(Deterministic(MEAN)) is None
    heavy = StudentT(MEAN, jnp.zeros(2), jnp.array([1.5, 2.0]))
    assert np.isinf(posterior_stddev(heavy)).all()
