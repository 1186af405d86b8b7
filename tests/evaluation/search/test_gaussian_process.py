import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process import kernels as sk

from vae_jax.errors import InputError
from vae_jax.evaluation.search import covariance as cov
from vae_jax.evaluation.search import gaussian_process as gp

pytestmark = pytest.mark.filterwarnings("error:::vae_jax")
SCALES, AMPLITUDE, NOISE = np.array([0.7, 2.0]), 1.3, 0.2
PARAMETERS = cov.Hyperparameters(np.log(SCALES), np.log(AMPLITUDE), np.log(NOISE))


@pytest.fixture(autouse=True)
def in_64_bits():
    with cov.double_precision():
        yield


def points(number=12, seed=0):
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(number, 2))
    return z, np.sin(2 * z[:, 0]) + 0.3 * z[:, 1] + 0.1 * rng.normal(size=number)


def matrix_of(kernel, a, b):
    r = np.sqrt(np.square((a[:, None] - b[None]) / SCALES).sum(-1))
    if kernel == "rbf":
        return AMPLITUDE**2 * np.exp(-(r**2) / 2)
    return AMPLITUDE**2 * (1 + 5**0.5 * r + 5 * r**2 / 3) * np.exp(-(5**0.5) * r)


def reference(kernel):
    base = sk.RBF(SCALES) if kernel == "rbf" else sk.Matern(SCALES, nu=2.5)
    return sk.ConstantKernel(AMPLITUDE**2) * base + sk.WhiteKernel(NOISE**2)


@pytest.mark.parametrize("kernel", cov.KERNELS)
def test_the_posterior_is_the_closed_form(kernel):
    (z, y), (test, _) = points(), points(5, seed=1)
    v = (y - y.mean()) / y.std()
    process = gp.condition(PARAMETERS, z, y, kernel=kernel)
    inverse = np.linalg.inv(matrix_of(kernel, z, z) + NOISE**2 * np.eye(len(z)))
    cross = matrix_of(kernel, test, z)
    mean = y.mean() + y.std() * cross @ inverse @ v
    full = y.var() * (matrix_of(kernel, test, test) - cross @ inverse @ cross.T)
    np.testing.assert_allclose(process.posterior(jnp.asarray(test))[0], mean, rtol=1e-9)
    np.testing.assert_allclose(process.predict(jnp.asarray(test)), mean, rtol=1e-9)
    np.testing.assert_allclose(
        process.posterior(jnp.asarray(test))[1], np.sqrt(np.diagonal(full)), rtol=1e-9
    )
    joint = process.joint_posterior(jnp.asarray(test))
    np.testing.assert_allclose(joint[0], mean, rtol=1e-9)
    np.testing.assert_allclose(joint[1], full, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(process.noise_variance, y.var() * NOISE**2)


@pytest.mark.parametrize("kernel", cov.KERNELS)
def test_the_likelihood_and_its_gradient_are_those_of_scipy_and_sklearn(kernel):
    z, y = points()
    v = (y - y.mean()) / y.std()
    value, slope = jax.value_and_grad(
        lambda p: cov.log_marginal_likelihood(p, z, jnp.asarray(v), kernel=kernel)
    )(jax.tree.map(jnp.asarray, PARAMETERS))
    matrix = matrix_of(kernel, z, z) + NOISE**2 * np.eye(len(z))
    np.testing.assert_allclose(value, stats.multivariate_normal(cov=matrix).logpdf(v), rtol=1e-9)
    model = GaussianProcessRegressor(reference(kernel), alpha=0.0, optimizer=None).fit(z, v)
    theta = [2 * np.log(AMPLITUDE), *np.log(SCALES), 2 * np.log(NOISE)]
    np.testing.assert_allclose(model.kernel_.theta, theta)
    log_likelihood, gradient = model.log_marginal_likelihood(theta, eval_gradient=True)
    np.testing.assert_allclose(value, log_likelihood, rtol=1e-9)
    ours = [slope.log_amplitude / 2, *slope.log_scales, slope.log_noise / 2]
    np.testing.assert_allclose(ours, gradient, rtol=1e-6)
    mean, stddev = model.predict(z[:3] + 0.1, return_std=True)
    process = gp.condition(PARAMETERS, z, y, kernel=kernel)
    np.testing.assert_allclose(process.predict(z[:3] + 0.1), y.mean() + y.std() * mean, rtol=1e-9)
    latent = np.sqrt(stddev**2 - NOISE**2)
    np.testing.assert_allclose(process.posterior(z[:3] + 0.1)[1], y.std() * latent, rtol=1e-7)


def test_the_gradient_of_a_density_by_its_value():
    matrix = matrix_of("rbf", *[points()[0]] * 2) + NOISE**2 * np.eye(12)
    v = points()[1]
    slope = jax.grad(cov.log_normal, argnums=1)(jnp.asarray(matrix), jnp.asarray(v))
    np.testing.assert_allclose(slope, -np.linalg.solve(matrix, v), rtol=1e-8)


def test_a_fit_finds_the_dimension_that_matters():
    rng = np.random.default_rng(0)
    z = rng.normal(size=(60, 3))
    y = 40 + 5 * np.sin(2 * z[:, 1]) + 0.5 * rng.normal(size=60)
    process = gp.fit_gaussian_process(z, y, num_steps=100)
    scales = np.exp(process.hyperparameters.log_scales)
    assert scales[1] < 2 < min(scales[0], scales[2])
    np.testing.assert_allclose(np.sqrt(process.noise_variance), 0.5, rtol=0.3)
    v = (y - y.mean()) / y.std()
    assert cov.log_marginal_likelihood(
        process.hyperparameters, jnp.asarray(z), jnp.asarray(v)
    ) > cov.log_marginal_likelihood(gp.default_hyperparameters(z), jnp.asarray(z), jnp.asarray(v))
    test = rng.normal(size=(50, 3))
    error = np.asarray(process.predict(jnp.asarray(test))) - 40 - 5 * np.sin(2 * test[:, 1])
    assert np.sqrt(np.square(error).mean()) < 1.0  # the function has 3.5


def test_a_fit_beats_or_equals_that_of_sklearn():
    z, y = points(30)
    process = gp.fit_gaussian_process(z, y, kernel="rbf", num_steps=300)
    v = (y - y.mean()) / y.std()
    ours = cov.log_marginal_likelihood(
        process.hyperparameters, jnp.asarray(z), jnp.asarray(v), kernel="rbf"
    )
    model = GaussianProcessRegressor(reference("rbf"), alpha=0.0, random_state=0).fit(z, v)
    assert ours > model.log_marginal_likelihood_value_ - 0.05


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_the_factor_of_equal_points_is_finite_and_close(dtype):
    z = jnp.zeros((50, 2), dtype).at[25:].set(1e-4)
    parameters = jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype), PARAMETERS)
    matrix = cov.kernel_matrix("rbf", parameters, z, z)
    factor = cov.stable_cholesky(matrix)
    assert factor.dtype == dtype
    tolerance = 1e4 * jnp.finfo(dtype).eps
    np.testing.assert_allclose(factor @ factor.T, matrix, rtol=tolerance)


def test_a_matrix_that_needs_no_jitter_gets_none():
    matrix = jnp.array([[2.0, 0.5], [0.5, 1.0]])
    np.testing.assert_array_equal(cov.stable_cholesky(matrix), jnp.linalg.cholesky(matrix))


def test_the_gradient_is_finite_at_a_known_point():
    z, y = points()
    process = gp.condition(PARAMETERS, z, y)
    slope = jax.grad(lambda z: sum(part.sum() for part in process.posterior(z)))(jnp.asarray(z))
    assert np.isfinite(slope).all()


def test_room_for_more_points_changes_nothing():
    z, y = points(12)
    exact = gp.fit_gaussian_process(z, y, num_steps=10)
    padded = gp.fit_gaussian_process(z, y, num_steps=10, capacity=20)
    assert padded.z.shape == (20, 2)
    for first, second in zip(exact.hyperparameters, padded.hyperparameters, strict=True):
        np.testing.assert_allclose(first, second, rtol=1e-9)
    test = jnp.asarray(points(5, seed=1)[0])
    for first, second in zip(
        exact.joint_posterior(test), padded.joint_posterior(test), strict=True
    ):
        np.testing.assert_allclose(first, second, rtol=1e-8, atol=1e-12)


def test_without_the_context_it_is_32_bits_and_close():
    z, y = points()
    exact = gp.condition(PARAMETERS, z, y).predict(jnp.asarray(z))
    with cov.double_precision(False):
        process = gp.fit_gaussian_process(z, y, num_steps=0, start=PARAMETERS)
        assert process.cholesky.dtype == jnp.float32
        np.testing.assert_allclose(process.predict(jnp.asarray(z)), exact, atol=1e-4)


@pytest.mark.parametrize(
    ("number", "options", "message"),
    [
        (3, {"kernel": "matern"}, "kernel = 'matern': unknown; allowed are matern52, rbf"),
        (2_001, {}, "z: 2001 points; must be at most 2000"),
    ],
)
def test_invalid_input_is_named(number, options, message):
    with pytest.raises(InputError, match=message):
        gp.fit_gaussian_process(np.ones((number, 1)), np.ones(number), **options)
