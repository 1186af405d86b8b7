import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vae_jax import VAE, data, likelihoods, nets, posteriors, priors
from vae_jax.evaluation import make_evaluator
from vae_jax.evaluation.sigma import fit_sigma, with_fixed_sigma


def linear(likelihood, posterior=posteriors.DeterministicHead):
    return VAE(nets.MLP(()), nets.MLP(()), posterior(2), priors.StandardNormal(2), likelihood)


@pytest.fixture
def source():
    return data.ArraySource(jax.random.normal(jax.random.key(0), (300, 5)), None)


def test_the_fitted_sigma_is_the_most_likely_one_on_the_training_set(source):
    model = linear(likelihoods.OptimalGaussian((5,)))
    params = model.init(jax.random.key(1), source.images, jax.random.key(2))
    fixed = with_fixed_sigma(model)
    fitted = fit_sigma(model, params, source, jax.random.key(3))

    def distortion(factor):
        likelihood = fitted["params"]["likelihood"]
        logvar = likelihood["logvar"] + 2 * np.log(factor)
        changed = {"params": fitted["params"] | {"likelihood": likelihood | {"logvar": logvar}}}
        terms = make_evaluator(fixed, batch_size=100)(changed, source, jax.random.key(4))
        return terms.distortion.mean(dtype=np.float64)

    # A deterministic posterior has no noise, so the minimum is exact. Its value is the entropy of
    # the residual.
    assert distortion(1.0) < min(distortion(0.98), distortion(1.02))
    x = np.asarray(source.images, np.float64)
    kernels = jax.tree.map(np.float64, params["params"])
    out = kernels["likelihood"]["EventLayer_0"]["out"]
    variance = np.mean(
        (x @ kernels["posterior"]["mean"]["kernel"] @ out["kernel"] + out["bias"] - x) ** 2
    )
    assert distortion(1.0) == pytest.approx(2.5 * (np.log(2 * np.pi * variance) + 1), rel=1e-5)


def test_a_fixed_sigma_scores_an_example_the_same_in_any_batch(source):
    model = linear(likelihoods.OptimalGaussian((5,)))
    params = model.init(jax.random.key(1), source.images, jax.random.key(2))
    fitted = fit_sigma(model, params, source, jax.random.key(3))
    small, large = (
        make_evaluator(with_fixed_sigma(model), batch_size=b)(fitted, source, jax.random.key(4))
        for b in (7, 300)
    )
    np.testing.assert_allclose(small.distortion, large.distortion, rtol=1e-5)


def test_a_model_of_fixed_sigma_can_be_sampled(source):
    model = linear(likelihoods.OptimalGaussian((5,)), posteriors.DiagGaussianHead)
    params = model.init(jax.random.key(1), source.images, jax.random.key(2))
    fitted = fit_sigma(model, params, source, jax.random.key(3))
    p = with_fixed_sigma(model).apply(fitted, jnp.zeros((4, 2)), method="decode")
    assert p.sample(jax.random.key(5)).shape == (4, 5)


def test_sigma_is_fitted_on_draws_of_the_posterior(source):
    """Not at its mean: the residual of a draw holds the spread of q, W diag(var) W^T, too."""
    model = linear(likelihoods.OptimalGaussian((5,)), posteriors.DiagGaussianHead)
    params = model.init(jax.random.key(1), source.images, jax.random.key(2))
    posterior = params["params"]["posterior"]
    posterior["logvar"]["bias"] = jnp.array([1.0, 0.5])
    posterior["logvar"]["kernel"] = jnp.zeros((5, 2))
    fitted = fit_sigma(model, params, source, jax.random.key(3))
    p = with_fixed_sigma(model).apply(fitted, jnp.zeros((1, 2)), method="decode")
    variance = float(jnp.exp(p.logvar))
    numbers = jax.tree.map(np.float64, params["params"])
    x, out = np.float64(source.images), numbers["likelihood"]["EventLayer_0"]["out"]
    mean = x @ numbers["posterior"]["mean"]["kernel"] + numbers["posterior"]["mean"]["bias"]
    residual = mean @ out["kernel"] + out["bias"] - x
    at_mean = np.mean(residual**2)
    spread = np.exp([1.0, 0.5]) @ out["kernel"] ** 2  # [5]
    exact = at_mean + spread.mean()
    rng = np.random.default_rng(0)
    eps = rng.normal(size=(300, 2)) * np.exp([0.5, 0.25])
    stderr = ((residual + eps @ out["kernel"]) ** 2).mean(1).std(ddof=1) / np.sqrt(300)
    assert abs(variance - exact) < 4 * stderr
    assert variance > at_mean + 4 * stderr


def test_other_models_are_unchanged(source):
    model = linear(likelihoods.Gaussian((5,)))
    params = model.init(jax.random.key(1), source.images, jax.random.key(2))
    assert with_fixed_sigma(model) is model
    assert fit_sigma(model, params, source, jax.random.key(3)) is params
