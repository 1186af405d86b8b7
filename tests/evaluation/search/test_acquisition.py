import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, stats

from vae_jax.evaluation.search.acquisition import (
    choose,
    expected_improvement,
    log_expected_improvement,
    propose,
)
from vae_jax.evaluation.search.covariance import Hyperparameters, double_precision
from vae_jax.evaluation.search.gaussian_process import condition

pytestmark = pytest.mark.filterwarnings("error:::vae_jax")


@pytest.fixture(autouse=True)
def in_64_bits():
    with double_precision():
        yield


@pytest.mark.parametrize(("mean", "stddev"), [(0.0, 1.0), (-1.0, 0.5), (2.0, 0.1), (0.3, 3.0)])
def test_expected_improvement_is_the_mean_over_draws(mean, stddev):
    best, number = 0.4, 100_000
    draws = np.random.default_rng(0).normal(mean, stddev, number)
    gains = np.maximum(draws - best, 0)
    value = expected_improvement(jnp.asarray(mean), jnp.asarray(stddev), best)
    error = gains.std() / number**0.5
    assert abs(value - gains.mean()) < 4 * error + 1e-12


def test_without_uncertainty_it_is_the_improvement():
    value = expected_improvement(jnp.array([1.0, 3.0]), jnp.zeros(2), 2.0)
    assert value.tolist() == [0.0, 1.0]


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_its_logarithm_agrees_where_both_are_known(dtype):
    # For u < 0, u Phi(u) + phi(u) = phi(u) / u^2 times the integral of s exp(-s - s^2 / (2 u^2)).
    u = -np.array([0.5, 0.99, 1.01, 3.0, 7.5, 8.2, 30.0, 55.0, 65.0, 1e3])
    integrals = [
        integrate.quad(lambda s, x=x: s * np.exp(-s - (s / x) ** 2 / 2), 0, 100, epsabs=1e-13)[0]
        for x in u
    ]
    expected = stats.norm.logpdf(u) - 2 * np.log(-u) + np.log(integrals)
    value = log_expected_improvement(jnp.asarray(2 * u, dtype), jnp.asarray(2.0, dtype), 0.0)
    assert value.dtype == dtype
    rtol = 1e-9 if dtype == jnp.float64 else 3e-4
    np.testing.assert_allclose(value - np.log(2), expected, rtol=rtol)


def test_its_logarithm_has_a_gradient_everywhere():
    u = jnp.concatenate([-jnp.logspace(4, -2, 50), jnp.linspace(0, 10, 20)])
    slope = jax.vmap(jax.grad(lambda u: log_expected_improvement(u, jnp.ones(()), 0.0)))(u)
    assert np.isfinite(slope).all()
    assert (np.asarray(slope) > 0).all()


def process_of(z, y):
    return condition(Hyperparameters(np.zeros(2), 0.0, np.log(0.1)), z, y)


def test_a_batch_is_that_of_processes_given_their_own_means():
    rng = np.random.default_rng(0)
    z, y = rng.normal(size=(6, 2)), rng.normal(size=6)
    pool = jnp.asarray(rng.normal(size=(8, 2)))
    process = process_of(z, y)
    mean, covariance = process.joint_posterior(pool)
    noise, best = float(process.noise_variance), float(y.max())
    batch = choose(mean, covariance, noise, best, 4)
    # By hand: condition the joint Gaussian of the pool on the chosen, one inverse a time.
    chosen = []
    for _ in range(4):
        c = np.asarray(covariance)
        block = c[np.ix_(chosen, chosen)] + noise * np.eye(len(chosen))
        left = c - c[:, chosen] @ np.linalg.inv(block) @ c[chosen] if chosen else c
        top = max([best, *np.asarray(mean)[chosen]])
        gain = np.array(
            expected_improvement(mean, jnp.sqrt(jnp.maximum(jnp.diagonal(left), 0)), top)
        )
        gain[chosen] = -1
        chosen.append(int(gain.argmax()))
    assert batch.tolist() == chosen


def test_a_batch_avoids_equal_codes():
    mean, stddev = np.array([1.0, 1.0, 0.9]), np.array([1.0, 1.0, 1.0])
    covariance = np.diag(stddev)
    covariance[0, 1] = covariance[1, 0] = 1.0  # the same code twice
    assert choose(mean, covariance, 1e-6, 0.5, 2).tolist() == [0, 2]
    assert sorted(choose(mean, covariance, 1e-6, 0.5, 9).tolist()) == [0, 1, 2]


def test_proposals_have_more_expected_improvement_than_their_starts():
    rng = np.random.default_rng(1)
    z = rng.normal(size=(10, 2))
    y = -np.square(z - [0.5, -0.5]).sum(-1)
    process, best = process_of(z, y), float(y.max())
    starts = jnp.asarray(rng.normal(size=(6, 2)))
    codes, index = propose(process, starts, best, 3, num_steps=30, step_size=0.1)
    assert codes.shape == (3, 2)
    gain = log_expected_improvement(*process.posterior(jnp.asarray(codes)), best)
    before = log_expected_improvement(*process.posterior(starts[index]), best)
    assert (gain >= before).all()
    grid = jnp.stack(jnp.meshgrid(*[jnp.linspace(-3, 3, 61)] * 2), -1).reshape(-1, 2)
    largest = log_expected_improvement(*process.posterior(grid), best).max()
    assert gain.max() > largest - 0.1  # the best of a fine grid
