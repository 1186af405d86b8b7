"""The comparison of a linear VAE with probabilistic PCA in closed form."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from vae_jax import VAE
from vae_jax.config import Config
from vae_jax.errors import InputError
from vae_jax.evaluation.ppca import Ppca, compare_with_ppca
from vae_jax.experiment.validation import validate
from vae_jax.likelihoods import Gaussian
from vae_jax.nets import MLP, Units
from vae_jax.posteriors import DiagGaussianHead
from vae_jax.priors import StandardNormal

N, SIZE, D = 400, 6, 2
SIGMA = 0.5


def make_data():
    rng = np.random.default_rng(0)
    axes, _ = np.linalg.qr(rng.normal(size=(SIZE, SIZE)))
    return rng.normal(size=(N, SIZE)) * [2.0, 1.5, 0.5, 0.5, 0.5, 0.5] @ axes.T + 0.3


def optimal(x, scale=1.0):
    """The optimum at sigma = SIGMA as W [d, D] and offset, and q(z | x) by Bayes' rule."""
    values, vectors = np.linalg.eigh(np.cov(x.T, bias=True))
    spread = np.sqrt(np.maximum(values[::-1][:D] - SIGMA**2, 0))
    w, b = vectors[:, ::-1][:, :D] * spread * scale, x.mean(0)
    precision = np.eye(D) + w.T @ w / SIGMA**2
    mean = (x - b) @ w / SIGMA**2 @ np.linalg.inv(precision)
    logvar = np.broadcast_to(-np.log(np.diag(precision)), mean.shape)
    return w, b, mean, logvar


def compare(x, w, b, mean, logvar):
    model = VAE(MLP(()), MLP(()), DiagGaussianHead(D), StandardNormal(D), Gaussian((SIZE,), SIGMA))
    out = {"kernel": jnp.float32(w.T), "bias": jnp.float32(b)}
    params = {"params": {"likelihood": {"EventLayer_0": {"out": out}}}}
    return compare_with_ppca(model, params, x, mean, logvar, has_fixed_sigma=True)


def test_the_optimum_is_that_of_a_gaussian_density() -> None:
    x = make_data()
    best = Ppca.fit(x, D)
    values, vectors = np.linalg.eigh(np.cov(x.T, bias=True))
    variance = values[: SIZE - D].mean()
    covariance = (vectors * np.where(np.arange(SIZE) < SIZE - D, variance, values)) @ vectors.T
    density = stats.multivariate_normal(x.mean(0), covariance).logpdf(x).mean()
    assert best.log_likelihood == pytest.approx(density, rel=1e-9)
    assert best.variance == pytest.approx(variance)
    assert best.axes.shape == (SIZE, D)


def test_an_optimum_with_sigma_0_is_refused() -> None:
    x = np.random.default_rng(0).normal(size=(50, 3))
    with pytest.raises(InputError, match="3 latents leave nothing to sigma"):
        Ppca.fit(x, 3)
    with pytest.raises(InputError, match="no variance beyond 2 directions"):
        Ppca.fit(x * [1, 1, 0], 2)


def test_at_the_optimum_the_bound_is_tight() -> None:
    x = make_data()
    numbers = compare(x, *optimal(x))
    assert abs(numbers["relative_error"]) < 1e-6
    assert numbers["subspace_angle"] < 1e-4
    assert numbers["variance"] == pytest.approx(SIGMA**2)
    assert numbers["variance_error"] == 0
    assert numbers["used_latents"] == numbers["optimal_latents"] == 2
    w, b, _, _ = optimal(x)
    marginal = stats.multivariate_normal(b, w @ w.T + SIGMA**2 * np.eye(SIZE)).logpdf(x).mean()
    assert numbers["elbo"] == pytest.approx(marginal, rel=1e-6)


def test_a_model_in_units_is_compared_in_those_of_the_data() -> None:
    x = 3 * make_data() + 7
    images = x.reshape(N, 2, 3, 1)
    units = Units.fit(images)
    (m,), (s,) = units.density.loc, units.density.scale
    w, b, mean, logvar = optimal((x - m) / s)
    likelihood = Gaussian((2, 3, 1), SIGMA)
    model = VAE(MLP(()), MLP(()), DiagGaussianHead(D), StandardNormal(D), likelihood, units=units)
    out = {"kernel": jnp.float32(w.T), "bias": jnp.float32(b)}
    params = {"params": {"likelihood": {"EventLayer_0": {"out": out}}}}
    numbers = compare_with_ppca(model, params, images, mean, logvar, has_fixed_sigma=True)
    assert numbers["variance"] == pytest.approx((SIGMA * s) ** 2, rel=1e-5)
    assert abs(numbers["relative_error"]) < 1e-6
    assert numbers["subspace_angle"] < 1e-4


def test_away_from_the_optimum_it_is_below() -> None:
    x = make_data()
    w, b, mean, logvar = optimal(x, scale=1.3)
    numbers = compare(x, w, b, mean, logvar)
    marginal = stats.multivariate_normal(b, w @ w.T + SIGMA**2 * np.eye(SIZE)).logpdf(x).mean()
    assert numbers["elbo"] == pytest.approx(marginal, rel=1e-6)  # q is exact, the bound is tight
    assert numbers["relative_error"] > 1e-3
    assert numbers["subspace_angle"] < 1e-4
    worse = compare(x, w, b, mean + 0.1, logvar)
    assert worse["elbo"] < numbers["elbo"] - 1e-3
    turned = w + 0.1 * np.roll(w, 1, axis=0)
    assert compare(x, turned, b, mean, logvar)["subspace_angle"] > 0.02


def test_latents_collapse_below_the_noise() -> None:
    x = make_data()
    w, b, mean, logvar = optimal(x)
    w, mean, logvar = w.copy(), mean.copy(), logvar.copy()
    w[:, 1], mean[:, 1], logvar[:, 1] = 0, 0, 0
    numbers = compare(x, w, b, mean, logvar)
    assert (numbers["used_latents"], numbers["optimal_latents"]) == (1, 2)
    assert numbers["subspace_angle"] == pytest.approx(np.pi / 2)
    assert Ppca.fit(x, D, variance=100.0).axes.shape == (SIZE, 0)


@pytest.mark.parametrize(
    ("field", "value"),
    [("hidden", (5,)), ("sigma", "pixel"), ("likelihood", "bernoulli"), ("prior", "mixture")],
)
def test_another_model_is_refused(field, value) -> None:
    config = Config()
    config.model.network, config.model.hidden, config.model.latent_dim = "mlp", (), 2
    config.model.likelihood, config.model.sigma = "gaussian", "scalar"
    config.evaluation.metrics = ("ppca",)
    validate(config)
    setattr(config.model, field, value)
    if value == "bernoulli":
        config.model.sigma = "auto"
    with pytest.raises(InputError, match=rf"'ppca'.*config\.model\.{field}"):
        validate(config)
