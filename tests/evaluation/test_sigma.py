import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vae_jax import VAE, data, likelihoods, nets, posteriors, priors
from vae_jax.distributions import LOGVAR_RANGE, inverse_soft_clip
from vae_jax.evaluation import make_evaluator
from vae_jax.evaluation.sigma import fit_sigma, with_fixed_sigma
from vae_jax.models.hierarchical import Hierarchical
from vae_jax.models.ladder_levels import vector_levels


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


def test_sigma_holds_the_noise_of_z():
    """With q(z | x) = N(mean, 0.5^2) and x = 3 z + b, the residual at the mean is not sigma."""
    model = linear(likelihoods.OptimalGaussian((2,)), posteriors.DiagGaussianHead)
    source = data.ArraySource(jax.random.normal(jax.random.key(0), (2000, 2)), None)
    params = model.init(jax.random.key(1), source.images, jax.random.key(2))
    posterior, likelihood = params["params"]["posterior"], params["params"]["likelihood"]
    zeros = jax.tree.map(jnp.zeros_like, posterior)
    logvar = inverse_soft_clip(jnp.full(2, 2 * np.log(0.5)), *LOGVAR_RANGE)
    mean = posterior["mean"] | {"kernel": jnp.eye(2) / 3, "bias": jnp.zeros(2)}
    posterior = zeros | {"mean": mean, "logvar": zeros["logvar"] | {"bias": logvar}}
    out = likelihood["EventLayer_0"]["out"] | {"kernel": 3 * jnp.eye(2), "bias": jnp.zeros(2)}
    likelihood = likelihood | {"EventLayer_0": {"out": out}}
    params = {"params": params["params"] | {"posterior": posterior, "likelihood": likelihood}}
    np.testing.assert_allclose(
        model.apply(params, source.images[:3], method="encode").stddev, 0.5, rtol=1e-3
    )
    fitted = fit_sigma(model, params, source, jax.random.key(3))
    p = with_fixed_sigma(model).apply(fitted, jnp.zeros((1, 2)), method="decode")
    # The mean reconstructs x exactly, so all of sigma is 3 * 0.5, from the draws of z.
    assert float(jnp.exp(p.logvar / 2).mean()) == pytest.approx(1.5, rel=0.04)


@pytest.mark.slow
def test_sigma_of_a_hierarchy_is_fitted_on_draws_of_every_layer():
    source = data.ArraySource(jax.random.normal(jax.random.key(0), (2000, 5)), None)
    levels = vector_levels((2, 3), (8, 8))
    model = Hierarchical(levels, likelihoods.OptimalGaussian((5,)))
    params = model.init(jax.random.key(1), source.images, jax.random.key(2))
    # The posterior of the lower layer depends much on the draw of the upper one.
    top_down = params["params"]["top_down"]
    top_down["rungs_0"]["from_z"]["kernel"] *= 3
    top_down["rungs_1"]["posterior_head"]["kernel"] *= 2
    fitted = fit_sigma(model, params, source, jax.random.key(3))
    sigma2 = float(
        jnp.exp(
            with_fixed_sigma(model).apply(fitted, jnp.zeros((1, 5)), method="decode").logvar
        ).mean()
    )

    def residual(z):
        return float(
            jnp.square(model.apply(params, z, method="decode").mean - source.images).mean()
        )

    outputs = model.apply(params, source.images, jax.random.key(4), num_samples=20)
    q = model.apply(params, source.images, method="encode")
    at_means = np.mean([residual(q.sample(jax.random.key(k))) for k in range(20)])
    of_draws = residual(outputs.z)
    assert sigma2 == pytest.approx(of_draws, rel=0.1)
    assert at_means < 0.6 * of_draws
