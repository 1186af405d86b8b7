"""Importance sampling and annealing against the known evidence of a linear-Gaussian model."""

import jax
import jax.numpy as jnp
import linear_gaussian as linear
import numpy as np
import pytest

from vae_jax import posteriors
from vae_jax.data import ArraySource
from vae_jax.evaluation import ais, likelihood

N = 13


def test_the_running_mean_is_that_of_all_weights_at_once():
    log_w = np.float32(30 * np.random.default_rng(0).normal(size=(4 * 3, 5)))
    log_w[3:6, 1] = -np.inf
    blocks = jnp.asarray(log_w).reshape(4, 3, 5)
    got = linear.jit(
        lambda: likelihood.running_log_mean(
            lambda key, number: blocks[number],
            jax.random.key(0),
            num_samples=10,
            chunk=3,
            num_examples=5,
        )
    )()
    used = np.float64(log_w[:10])
    w = np.exp(used - used.max(0))
    np.testing.assert_allclose(got[0], used.max(0) + np.log(w.mean(0)), rtol=1e-5)
    np.testing.assert_allclose(got[1], w.sum(0) ** 2 / (w**2).sum(0), rtol=1e-4)
    np.testing.assert_allclose(got[2], used.mean(0), rtol=1e-5)


@pytest.mark.parametrize("good", [True, False])
def test_importance_sampling_finds_the_evidence(good):
    params, truth = linear.parameters(good=good)
    w, b = truth
    x = linear.examples(N, w=w, b=b)
    exact = linear.log_px(x, w=w, b=b)
    source = ArraySource(jnp.asarray(x), value_range=(-9.0, 9.0))
    found = {}
    for num_samples in (1, 10, 4_000):
        run = likelihood.make_likelihoods(linear.model(), num_samples=num_samples, batch_size=5)
        found[num_samples] = run(params, source, jax.random.key(2))
    estimate = found[4_000]
    stderr = np.sqrt((4_000 / estimate.ess - 1) / 4_000)  # of log mean w, by the delta method
    assert np.all(np.abs(estimate.log_px - exact) < 4 * stderr + 1e-4)  # of float32
    assert found[1].log_px.mean() < found[10].log_px.mean() < exact.mean() + 4 * stderr.mean()
    np.testing.assert_allclose(found[1].ess, 1, rtol=1e-5)
    np.testing.assert_allclose(found[1].log_px, found[1].elbo, rtol=1e-5)
    assert estimate.summary()["num_examples"] == N


def test_a_deterministic_posterior_has_no_likelihood():
    model = linear.model().clone(posterior=posteriors.DeterministicHead(2))
    x = jnp.zeros((4, linear.E))
    params = model.init(jax.random.key(0), x, jax.random.key(1))
    source = ArraySource(x, value_range=(-9.0, 9.0))
    run = likelihood.make_likelihoods(model, num_samples=2, batch_size=4)
    with pytest.raises(ValueError, match="a deterministic posterior has no density"):
        run(params, source, jax.random.key(2))


def test_a_mean_of_no_finite_value_is_refused():
    zeros = np.zeros(3)
    with pytest.raises(ValueError, match="none of 3 examples has a finite log p"):
        likelihood.Likelihoods(zeros - np.inf, zeros, zeros, 2).summary()
    numbers = likelihood.Likelihoods(np.array([-np.inf, -1, -3]), zeros, zeros, 2).summary()
    assert (numbers["log_likelihood"], numbers["log_likelihood_not_finite"]) == (-2, 1)


def test_another_chunk_of_draws_changes_the_noise_alone():
    params, (w, b) = linear.parameters()
    x = linear.examples(4, w=w, b=b)
    (a, ess_a, _), (b, ess_b, _) = (
        likelihood.log_likelihood(
            linear.model(), params, {"x": x}, jax.random.key(0), num_samples=1_000, chunk=chunk
        )
        for chunk in (7, 300)
    )
    variance = sum(
        (1_000 / np.asarray(ess) - 1) / 1_000 for ess in (ess_a, ess_b)
    )  # of log mean w, by the delta method
    assert np.all(np.abs(a - b) < 4 * np.sqrt(variance))
    assert np.all(a != b)


def test_annealing_encloses_the_evidence():
    params, (w, b) = linear.parameters(good=False)
    model, key = linear.model(), jax.random.key(4)
    x, z = ais.simulate(model, params, key, 24)
    exact = linear.log_px(x, w=w, b=b)
    options = {"num_chains": 8, "num_temperatures": 60, "num_leapfrog": 5}
    below = ais.run_ais(model, params, x, jax.random.key(5), **options)
    above = ais.run_ais(model, params, x, jax.random.key(6), posterior_z=z, **options)
    for estimate, sign in ((below, 1), (above, -1)):
        ratio = np.exp(
            sign * (estimate.log_px - exact)
        )  # of p(x), or of 1 / p(x): these are without bias, their logs are not
        assert abs(ratio.mean() - 1) < 4 * ratio.std(ddof=1) / np.sqrt(len(ratio)), ratio
        assert ratio.std() < 0.5
        assert 0.4 < estimate.acceptance < 0.9


@pytest.mark.slow
def test_a_ladder_of_few_rungs_is_loose_on_both_sides():
    params, (w, b) = linear.parameters(good=False)
    model = linear.model()
    x, z = ais.simulate(model, params, jax.random.key(4), 24)
    exact = linear.log_px(x, w=w, b=b)
    options = {"num_chains": 8, "num_temperatures": 4, "num_leapfrog": 5}
    below = ais.run_ais(model, params, x, jax.random.key(5), **options)
    above = ais.run_ais(model, params, x, jax.random.key(6), posterior_z=z, **options)
    assert below.log_px.mean() < exact.mean() < above.log_px.mean()


def test_the_ladder_goes_from_0_to_1():
    ladder = np.asarray(ais.temperatures(50))
    assert ladder[0] == 0
    assert ladder[-1] == 1
    assert np.all(np.diff(ladder) > 0)
    np.testing.assert_allclose(ladder, 1 - ladder[::-1], atol=1e-6)
