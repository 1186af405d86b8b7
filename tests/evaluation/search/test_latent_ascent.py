import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vae_jax.evaluation.search import ascend
from vae_jax.priors import StandardNormal

pytestmark = pytest.mark.filterwarnings("error")
TOP = jnp.array([1.0, -2.0])
PRIOR = StandardNormal(2).apply({})


def bowl(z):
    return 3.0 - jnp.square((z - TOP) * jnp.array([1.0, 3.0])).sum(-1)


def starts(number=5):
    return jnp.asarray(np.random.default_rng(0).normal(size=(number, 2)), jnp.float32)


def test_a_quadratic_is_climbed_to_its_top():
    result = ascend(bowl, starts(), num_steps=200, step_size=0.1)
    np.testing.assert_allclose(result.z, np.tile(TOP, (5, 1)), atol=0.02)
    assert result.objective.shape == (201, 5)
    np.testing.assert_allclose(result.objective[0], bowl(starts()), rtol=1e-6)


def test_the_first_steps_are_those_of_the_formula():
    result = ascend(bowl, starts(), num_steps=2, step_size=0.1)
    z = np.asarray(starts(), np.float64)
    for length in (0.1, 0.05):
        slope = -2 * np.array([1.0, 9.0]) * (z - np.asarray(TOP))
        z = z + length * slope / np.linalg.norm(slope, axis=1, keepdims=True)
    np.testing.assert_allclose(result.z, z, rtol=1e-4)


def test_the_unit_of_the_prediction_changes_nothing():
    few = {"num_steps": 30, "step_size": 0.2}
    first = ascend(bowl, starts(), **few).z
    second = ascend(lambda z: 1024.0 * bowl(z), starts(), **few).z
    np.testing.assert_allclose(first, second, rtol=1e-5)


def test_the_reward_of_the_prior_has_the_optimum_of_a_ridge():
    # a z - w |z|^2 / 2 is largest at a / w.
    slope = jnp.array([0.6, -0.8])
    result = ascend(
        lambda z: z @ slope,
        starts(),
        num_steps=400,
        step_size=0.1,
        log_density=PRIOR.log_prob,
        weight=0.5,
    )
    np.testing.assert_allclose(result.z, np.tile(slope / 0.5, (5, 1)), atol=0.02)


def test_codes_stay_within_the_distance_of_their_starts():
    slope = jnp.array([3.0, 4.0])
    result = ascend(lambda z: z @ slope, starts(), num_steps=50, step_size=0.5, max_distance=0.7)
    np.testing.assert_allclose(result.z, starts() + 0.7 * slope / 5, rtol=1e-5)


def test_the_best_code_of_the_path_is_returned():
    result = ascend(bowl, jnp.tile(TOP, (2, 1)) + 1e-3, num_steps=3, step_size=5.0)
    np.testing.assert_allclose(result.z, np.tile(TOP, (2, 1)) + 1e-3)  # each step went too far
    assert result.objective[1:].max() < result.objective[0].min()


def test_paths_that_reach_nan_return_the_last_finite_code():
    result = ascend(
        lambda z: jnp.where(z[:, 0] > 0.5, jnp.nan, z[:, 0]),
        jnp.array([[0.0, 0.0], [0.0, 1.0]]),
        num_steps=20,
        step_size=0.2,
    )
    assert np.isfinite(result.z).all()
    assert (np.asarray(result.z)[:, 0] > 0.3).all()


def test_paths_are_independent():
    together = ascend(bowl, starts(), num_steps=10, step_size=0.1).z
    alone = ascend(bowl, starts()[2:3], num_steps=10, step_size=0.1).z
    np.testing.assert_allclose(together[2], alone[0], rtol=1e-6)
    jax.jit(lambda z: ascend(bowl, z, num_steps=3, step_size=0.1))(starts())
