"""Imputation against the known conditional distributions of small models."""

import functools

import jax
import jax.numpy as jnp
import linear_gaussian as linear
import numpy as np
import pytest

from vae_jax import VAE, likelihoods, nets, posteriors, priors
from vae_jax.errors import InputError, UnsupportedError
from vae_jax.evaluation.imputation import impute, multiple_imputations
from vae_jax.models.hierarchical import Hierarchical
from vae_jax.models.ladder_levels import vector_levels
from vae_jax.models.vqvae import VQVAE
from vae_jax.nets.units import Units
from vae_jax.posteriors import quantizers

KEY = jax.random.key(0)
OBSERVED = np.array([[1, 1, 0, 0, 1], [0, 1, 1, 0, 0], [0, 0, 0, 0, 1], [1, 1, 1, 1, 1]], bool)
NUMBERS = dict(num_samples=20_000, chunk=500)


def conditional(x, observed, mean, cov):
    """Mean and covariance of the missing values of a Gaussian vector."""
    seen, missing = np.flatnonzero(observed), np.flatnonzero(~observed)
    gain = np.linalg.solve(cov[np.ix_(seen, seen)], cov[np.ix_(seen, missing)]).T
    return (
        mean[missing] + gain @ (x[seen] - mean[seen]),
        cov[np.ix_(missing, missing)] - gain @ cov[np.ix_(seen, missing)],
    )


@pytest.fixture(scope="module")
def gaussian():
    """A model with a poor posterior, a batch with missing values, mean and covariance of x."""
    params, (w, b) = linear.parameters(good=False)
    x = jnp.where(OBSERVED, linear.examples(4, w=w, b=b), 0)
    return params, {"x": x, "observed": jnp.asarray(OBSERVED)}, b, w.T @ w + 0.36 * np.eye(5)


def test_single_imputation_is_the_conditional_mean_and_deviation(gaussian):
    params, batch, mean, cov = gaussian
    run = jax.jit(functools.partial(impute, linear.model(), **NUMBERS))
    result = jax.tree.map(np.asarray, run(params, batch, KEY))
    x = np.asarray(batch["x"], np.float64)
    for row, observed in enumerate(OBSERVED[:3]):
        expected, expected_cov = conditional(x[row], observed, mean, cov)
        variance = np.diag(expected_cov)
        assert result.ess[row] > 300
        error = np.sqrt((variance - 0.36) / result.ess[row])
        assert np.all(np.abs(result.values[row][~observed] - expected) < 4 * error)
        # The variance of p(x | z) is exact, that of its mean is estimated.
        error = (variance - 0.36) * np.sqrt(2 / result.ess[row])
        assert np.all(np.abs(result.stddev[row][~observed] ** 2 - variance) < 4 * error)
    np.testing.assert_array_equal(result.values[OBSERVED], x[OBSERVED])
    assert not result.stddev[OBSERVED].any()
    assert np.isnan(result.probability[~OBSERVED]).all()


def test_multiple_imputations_have_the_conditional_mean_and_covariance(gaussian):
    params, batch, mean, cov = gaussian
    size, numbers = 1_000, dict(num_samples=5_000, chunk=250)
    run = functools.partial(multiple_imputations, num_imputations=size, **numbers)
    draws = np.asarray(jax.jit(functools.partial(run, linear.model()))(params, batch, KEY))
    assert draws.shape == (size, 4, 5)
    x = np.asarray(batch["x"], np.float64)
    ess = jax.jit(functools.partial(impute, linear.model(), **numbers))(params, batch, KEY).ess
    for row, observed in enumerate(OBSERVED[:3]):
        expected, expected_cov = conditional(x[row], observed, mean, cov)
        deviation = np.sqrt(np.diag(expected_cov))
        error = np.sqrt(1 / size + 1 / float(ess[row]))  # of the draws, and of the weights
        missing = draws[:, row][:, ~observed]
        assert np.all(np.abs(missing.mean(0) - expected) < 4 * error * deviation)
        bound = 4 * error * 1.5 * np.outer(deviation, deviation)
        assert np.all(np.abs(np.cov(missing.T) - expected_cov) < bound)
    assert np.array_equal(draws[:, OBSERVED], np.broadcast_to(x[OBSERVED], (size, OBSERVED.sum())))


def make_mixed(**fields):
    columns = ("gaussian", "categorical:3", "bernoulli", "counts", "gaussian")
    head = likelihoods.Mixed((5,), columns)
    return VAE(
        nets.MLP(()), nets.MLP((8,)), posteriors.DiagGaussianHead(1), priors.StandardNormal(1),
        head, **fields,
    )  # fmt: skip


def test_mixed_columns_agree_with_quadrature_over_z():
    """Numbers by mean and deviation in their units, codes by their most likely value."""
    units = Units.fit(
        np.array([[90.0, 0, 0, 0, 1], [110.0, 2, 1, 9, 3]]),
        real=(True, False, False, False, True),
        categories=(0, 3, 0, 0, 0),
    )
    model = make_mixed(units=units)
    x = jnp.array([[104.0, 2, 1, 4, 1], [99.0, 0, 0, 1, 2.5]])
    params = jax.jit(model.init)(KEY, x, KEY)
    kernels = jax.tree.map(lambda leaf: 1.5 * leaf if leaf.ndim == 2 else leaf, params)
    observed = jnp.array([[True, False, False, False, False], [False, False, False, False, True]])
    batch = {"x": jnp.where(observed, x, 0), "observed": observed}
    result = jax.jit(functools.partial(impute, model, **NUMBERS))(kernels, batch, KEY)

    z = jnp.linspace(-7, 7, 4_001)[:, None, None] * jnp.ones((1, 2, 1))
    options = {"observed": observed, "method": "log_joint"}
    log_joint = jax.jit(lambda z: sum(model.apply(kernels, batch["x"], z, **options)))
    posterior = np.asarray(jax.nn.softmax(log_joint(z), axis=0), np.float64)
    p = jax.jit(lambda z: model.apply(kernels, z, method="decode"))(z)
    parts = dict(zip(p.base.columns, p.base.parts, strict=True))
    average = lambda values: np.einsum("kb,kb...->b...", posterior, values)  # noqa: E731
    for row in range(2):
        error = 1 / np.sqrt(float(result.ess[row]))
        for column, code_p in (
            (1, jax.nn.softmax(parts[(1,)].logits[:, :, 0])),
            (2, jax.nn.sigmoid(parts[(2,)].logits[:, :, :] * np.array([-1.0, 1.0]))),
        ):
            expected = average(code_p)[row]
            assert result.values[row, column] == expected.argmax()
            assert abs(result.probability[row, column] - expected.max()) < 2 * error
            assert np.isnan(result.stddev[row, column])
        column = 4 - 4 * row  # the missing one of the two columns of numbers
        unit = units.density.scale[column]
        means = units.density.loc[column] + unit * parts[(0, 4)].mean[:, :, column // 4]
        noise = unit**2 * float(jnp.exp(parts[(0, 4)].logvar[column // 4]))
        check_moments(result, (row, column), average, means, noise, error)
        counts = parts[(3,)]
        dispersion = jnp.exp(counts.log_inverse_dispersion)
        noise = counts.mean[..., 0] + counts.mean[..., 0] ** 2 / dispersion
        check_moments(result, (row, 3), average, counts.mean[..., 0], noise, error)


def check_moments(result, entry, average, means, noise, error):
    means = np.asarray(means, np.float64)
    mean = average(means)[entry[0]]
    variance = average((means - mean) ** 2 + noise)[entry[0]]
    spread = np.sqrt(average((means - mean) ** 2)[entry[0]])
    assert abs(result.values[entry] - mean) < 4 * error * spread + 1e-6 * abs(mean)
    assert abs(result.stddev[entry] ** 2 - variance) < 8 * error * variance
    assert np.isnan(result.probability[entry])


def test_more_draws_than_a_chunk_are_those_of_the_sum():
    """Draws beyond K in the last chunk are ignored; chunks of any size have the same estimand."""
    params, (w, b) = linear.parameters()
    x = jnp.asarray(linear.examples(2, w=w, b=b))
    batch = {"x": jnp.where(OBSERVED[:2], x, 0), "observed": jnp.asarray(OBSERVED[:2])}
    model, seven = linear.model(), 7
    options = {"observed": batch["observed"], "method": "infer"}
    apply = jax.jit(model.apply, static_argnames=("num_samples", "method"))
    inferred = apply(params, batch["x"], **options)
    log_w, means = [], []
    for number in range(3):
        key = jax.random.split(jax.random.fold_in(KEY, number))[0]
        outputs = apply(params, inferred, batch["x"], key, num_samples=seven, method="outputs")
        log_w.append(outputs.log_px_z + outputs.log_pz - outputs.log_qz_x)
        means.append(apply(params, outputs.z, method="decode").mean)
    log_w, means = (np.concatenate(parts)[:17] for parts in (log_w, means))
    weights = np.exp(np.float64(log_w) - log_w.max(0))
    weights /= weights.sum(0)
    mean = np.einsum("kb,kbe->be", weights, means)
    variance = 0.36 + np.einsum("kb,kbe->be", weights, (means - mean) ** 2)
    run = functools.partial(impute, model, num_samples=17, chunk=seven)
    result = jax.jit(run)(params, batch, KEY)
    missing = ~OBSERVED[:2]
    np.testing.assert_allclose(result.values[missing], mean[missing], rtol=1e-4)
    np.testing.assert_allclose(result.stddev[missing], np.sqrt(variance[missing]), rtol=1e-4)
    np.testing.assert_allclose(result.ess, 1 / (weights**2).sum(0), rtol=1e-4)


def make_conditional():
    return linear.model().clone(conditioning=nets.OneHot(2))


def make_hierarchical():
    return Hierarchical(vector_levels((4, 4), (2, 2)), likelihoods.Gaussian((5,)))


def make_vq():
    parts = (nets.MLP((7,)), quantizers.VectorQuantizer(4, 2), nets.MLP((7,)))
    return VQVAE(*parts, likelihoods.Gaussian((5,)), priors.UniformCodes((3,), 4))


def make_autoencoder():
    return linear.model().clone(posterior=posteriors.DeterministicHead(2))


@pytest.mark.parametrize("make", [make_conditional, make_hierarchical, make_vq, make_autoencoder])
def test_every_kind_of_model_imputes(make):
    model = make()
    x = jax.random.bernoulli(KEY, 0.5, (4, 5)).astype(jnp.float32)
    y = {"y": jnp.array([0, 1, 1, 0])} if model.conditioning is not None else {}
    params = jax.jit(model.init)(KEY, x, KEY)
    batch = {"x": jnp.where(OBSERVED, x, 0), "observed": jnp.asarray(OBSERVED), **y}
    numbers = dict(num_samples=10, chunk=4)
    result = jax.jit(functools.partial(impute, model, **numbers))(params, batch, KEY)
    run = jax.jit(functools.partial(multiple_imputations, model, num_imputations=3, **numbers))
    draws = run(params, batch, KEY)
    assert draws.shape == (3, 4, 5)
    for filled in (result.values, *draws):
        assert np.isfinite(filled).all()
        assert (filled == x)[OBSERVED].all()
    if make in (make_vq, make_autoencoder):  # one z
        options = {"observed": batch["observed"], "method": "encode"}
        z = model.apply(params, batch["x"], **options).mean
        mean = model.apply(params, z, method="decode").mean
        np.testing.assert_allclose(result.values, jnp.where(OBSERVED, x, mean), rtol=1e-5)
        assert (result.ess == 1).all()


def test_values_without_mass_have_no_imputation():
    model = linear.model().clone(likelihood=likelihoods.Bernoulli((5,)))
    x = jnp.array([[0.0, 7, 0, 0, 0], [0.0, 1, 0, 0, 0]])  # 7 is impossible
    params = jax.jit(model.init)(KEY, x, KEY)
    batch = {"x": x, "observed": jnp.array([[True, True, False, False, False]] * 2)}
    numbers = dict(num_samples=4, chunk=2)
    result = jax.jit(functools.partial(impute, model, **numbers))(params, batch, KEY)
    run = functools.partial(multiple_imputations, model, num_imputations=2, **numbers)
    draws = jax.jit(run)(params, batch, KEY)
    for filled in (result.values, *draws):
        assert np.isnan(filled[0, 2:]).all()
        assert np.isfinite(filled[1]).all()


def test_what_cannot_be_imputed_is_refused():
    head = likelihoods.DiscretizedLogisticMixture((2, 2, 3), levels=9)
    model = linear.model().clone(likelihood=head)
    x = jnp.zeros((2, 2, 2, 3))
    params = jax.jit(model.init)(KEY, x, KEY)
    with pytest.raises(UnsupportedError, match="depend on each other"):
        impute(model, params, {"x": x, "observed": x == 1}, KEY, num_samples=2)
    with pytest.raises(InputError, match="num_samples = 0: must be at least 1"):
        impute(model, params, {"x": x}, KEY, num_samples=0)
