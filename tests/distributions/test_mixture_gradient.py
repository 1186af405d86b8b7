"""Gradients of a mixture of Gaussians against float64, down to a standard deviation of 0.001."""

import jax
import numpy as np
import pytest

from vae_jax.distributions import MixtureOfGaussians

K, D, N = 5, 3, 4
NAMES = ("logvars", "means", "z")


def setting(sigma):
    rng = np.random.default_rng(0)
    means = rng.normal(size=(K, D)).astype(np.float32)
    z = (means[:N] + sigma * rng.normal(size=(N, D))).astype(np.float32)
    return np.full((K, D), 2 * np.log(sigma), np.float32), means, z


def log_prob(logvars, means, z):
    return MixtureOfGaussians(means, logvars, np.zeros(K, np.float32)).log_prob(z).sum()


def exact(logvars, means, z):
    """The three gradients in float64."""
    logvars, means, z = (np.float64(array) for array in (logvars, means, z))
    difference = z[:, None] - means
    scaled = difference * np.exp(-logvars)
    exponents = -0.5 * (difference * scaled + logvars).sum(-1)
    shares = np.exp(exponents - exponents.max(-1, keepdims=True))
    shares = (shares / shares.sum(-1, keepdims=True))[..., None]
    by_logvar = (shares * -0.5 * (1 - difference * scaled)).sum(0)
    return by_logvar, (shares * scaled).sum(0), -(shares * scaled).sum(1)


@pytest.mark.parametrize("sigma", [1.0, 0.05, 0.001])
@pytest.mark.parametrize("compiled", [False, True])
def test_gradients_at_small_scales(sigma, compiled):
    arrays = setting(sigma)
    gradient = jax.grad(log_prob, (0, 1, 2))
    results = (jax.jit(gradient) if compiled else gradient)(*arrays)
    for name, ours, theirs in zip(NAMES, results, exact(*arrays), strict=True):
        error = np.abs(ours - theirs).max() / np.abs(theirs).max()
        # Expanded into products, the gradient in the log-variances is off by a tenth and more at
        # 0.001; those in the means and z lose digits too, but are themselves of order 1 / sigma.
        assert error < (1e-5 if name == "logvars" else 1e-3), name


def test_one_argument_has_the_gradient_that_it_has_among_all():
    arrays = setting(0.05)
    together = jax.grad(log_prob, (0, 1, 2))(*arrays)
    for number, gradient in enumerate(together):
        np.testing.assert_allclose(jax.grad(log_prob, number)(*arrays), gradient, rtol=1e-6)


def test_forward_and_second_derivatives():
    arrays = setting(1.0)
    np.testing.assert_allclose(
        jax.jacfwd(log_prob)(*arrays), jax.grad(log_prob)(*arrays), rtol=1e-4, atol=1e-6
    )
    hessian = jax.hessian(log_prob)(*arrays).reshape(K * D, K * D)
    step = 1e-3 * np.eye(K * D, dtype=np.float32).reshape(-1, K, D)
    logvars, *rest = arrays
    columns = [
        (np.asarray(exact(logvars + s, *rest)[0]) - exact(logvars - s, *rest)[0]).ravel() / 2e-3
        for s in step
    ]
    np.testing.assert_allclose(hessian, np.stack(columns), rtol=1e-2, atol=1e-4)
