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


def test_other_models_are_unchanged(source):
    model = linear(likelihoods.Gaussian((5,)))
    params = model.init(jax.random.key(1), source.images, jax.random.key(2))
    assert with_fixed_sigma(model) is model
    assert fit_sigma(model, params, source, jax.random.key(3)) is params
