"""The parts of the rate against quadrature and known Gaussians, and known inference gaps."""

import jax
import jax.numpy as jnp
import linear_gaussian as linear
import numpy as np

from vae_jax.distributions import DiagGaussian, kl_divergence
from vae_jax.evaluation.decomposition import decompose
from vae_jax.evaluation.gap import inference_gap

PRIOR = DiagGaussian(jnp.zeros(2), jnp.zeros(2))


def test_the_parts_sum_to_the_rate():
    rng = np.random.default_rng(0)
    q = DiagGaussian(
        jnp.float32(rng.normal(size=(50, 2)) @ [[1, 0.8], [0, 0.6]]),
        jnp.float32(rng.normal(size=(50, 2)) - 1),
    )
    parts = decompose(q, PRIOR, jax.random.key(0), num_samples=4_000)
    exact = np.mean(kl_divergence(q, PRIOR))
    assert abs(parts.rate.value - exact) < 4 * parts.rate.stderr
    np.testing.assert_allclose(
        parts.rate.value, parts.mutual_information.value + parts.aggregate_kl.value, rtol=1e-4
    )
    np.testing.assert_allclose(
        parts.aggregate_kl.value,
        parts.total_correlation.value + parts.dimension_kl.sum(),
        rtol=1e-3,
        atol=1e-4,
    )
    assert parts.total_correlation.value > 4 * parts.total_correlation.stderr


def test_the_total_correlation_needs_no_prior_that_factorizes():
    class Joint:
        """The same density, as one that is not known to factorize."""

        log_prob = staticmethod(PRIOR.log_prob)

    rng = np.random.default_rng(1)
    q = DiagGaussian(
        jnp.float32(rng.normal(size=(40, 2)) @ [[1, 0.8], [0, 0.6]]), -jnp.ones((40, 2))
    )
    known, joint = (
        decompose(q, prior, jax.random.key(0), num_samples=500) for prior in (PRIOR, Joint())
    )
    assert joint.dimension_kl is None
    assert joint.summary() == known.summary()
    assert joint.total_correlation.value > 0


def test_mutual_information_by_quadrature():
    """Two codes in one dimension: I(x; z) is the Jensen-Shannon divergence of two Gaussians."""
    mean, logvar = np.float32([[-0.7], [0.9]]), np.float32([[-0.5], [0.2]])
    q = DiagGaussian(jnp.asarray(mean), jnp.asarray(logvar))
    prior = DiagGaussian(jnp.zeros(1), jnp.zeros(1))
    parts = decompose(q, prior, jax.random.key(1), num_samples=20_000)
    z = np.linspace(-12, 12, 20_001)
    densities = np.exp(-0.5 * (z - mean) ** 2 * np.exp(-logvar)) / np.sqrt(
        2 * np.pi * np.exp(logvar)
    )
    mixture = densities.mean(0)
    log_ratio = np.log(np.maximum(densities, 1e-300)) - np.log(np.maximum(mixture, 1e-300))
    information = np.trapezoid(densities * log_ratio, z, axis=1).mean()
    aggregate = np.trapezoid(
        mixture * (np.log(np.maximum(mixture, 1e-300)) + 0.5 * z**2 + 0.5 * np.log(2 * np.pi)), z
    )
    assert abs(parts.mutual_information.value - information) < 4 * parts.mutual_information.stderr
    assert abs(parts.aggregate_kl.value - aggregate) < 4 * parts.aggregate_kl.stderr
    assert abs(parts.total_correlation.value) < 1e-5


def test_codes_apart_tell_which_example_and_a_collapsed_posterior_tells_nothing():
    apart = DiagGaussian(100.0 * jnp.arange(16.0)[:, None] * jnp.ones(2), jnp.zeros((16, 2)))
    assert (
        abs(
            decompose(apart, PRIOR, jax.random.key(2), num_samples=64).mutual_information.value
            - np.log(16)
        )
        < 1e-4
    )
    collapsed = DiagGaussian(jnp.zeros((16, 2)), jnp.zeros((16, 2)))
    parts = decompose(collapsed, PRIOR, jax.random.key(3), num_samples=64)
    for estimate in (
        parts.rate,
        parts.mutual_information,
        parts.aggregate_kl,
        parts.total_correlation,
    ):
        assert abs(estimate.value) < 1e-5


def test_the_gap_of_a_bad_encoder_is_amortization():
    """With orthogonal W, the posterior is diagonal and the approximation gap zero."""
    params, (w, b) = linear.parameters(good=False)
    w, _ = np.linalg.qr(w.T)
    w = np.float32(w.T)
    params["params"]["likelihood"]["EventLayer_0"]["out"]["kernel"] = jnp.asarray(w)
    x = linear.examples(12, w=w, b=b)
    exact = linear.log_px(x, w=w, b=b)
    gaps = inference_gap(
        linear.model(), params, x, exact, jax.random.key(7), num_samples=2_000, num_steps=400
    )
    assert abs(gaps["approximation_gap"]) < 0.02
    q = linear.model().apply(params, x, method="encode")
    variance = 1 / (1 + 1 / linear.SIGMA**2)
    posterior = DiagGaussian(
        jnp.float32((x - b) @ w.T / linear.SIGMA**2 * variance),
        jnp.log(variance) * jnp.ones((12, 2)),
    )
    assert (
        abs(gaps["amortization_gap"] - np.mean(kl_divergence(q, posterior)))
        < 0.03 * gaps["amortization_gap"]
    )
    np.testing.assert_allclose(
        gaps["inference_gap"], gaps["approximation_gap"] + gaps["amortization_gap"], rtol=1e-5
    )
