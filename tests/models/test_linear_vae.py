"""The ELBO of a linear VAE against probabilistic PCA in closed form.

Tipping and Bishop, 1999; Lucas et al., 2019, arXiv:1911.02469: with a linear encoder and decoder
the ELBO has no local maxima other than the global ones of the marginal likelihood and is tight
there. A dimension collapses if the eigenvalue of the data is below the noise variance.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.linalg

from vae_jax import VAE, data, elbo, likelihoods, make_loss_fn, nets, posteriors, priors, train
from vae_jax.evaluation import make_evaluator


def ppca(x, latent_dim, variance=None):
    """Optimal log-likelihood per example, principal axes [d, active] and noise variance."""
    values, vectors = np.linalg.eigh(np.cov(x.T, bias=True))
    values, vectors = values[::-1], vectors[:, ::-1]
    variance = values[latent_dim:].mean() if variance is None else variance
    active = int(np.sum(values[:latent_dim] > variance))
    spectrum = np.concatenate([values[:active], np.full(len(values) - active, variance)])
    log_likelihood = -0.5 * np.sum(np.log(2 * np.pi * spectrum) + values / spectrum)
    return log_likelihood, vectors[:, :active], variance


def fit(x, latent_dim, likelihood, *, num_steps, learning_rate, batch_size=200):
    """Adam with cosine decay; the parameters, and the terms of every example."""
    n = len(x)
    model = VAE(
        nets.MLP(()),
        nets.MLP(()),
        posteriors.DiagGaussianHead(latent_dim),
        priors.StandardNormal(latent_dim),
        likelihood,
    )
    tx = optax.adam(optax.cosine_decay_schedule(learning_rate, num_steps))
    source = data.ArraySource(jnp.asarray(x, jnp.float32), None)
    state = train.init_state(jax.random.key(0), model, source.images[:1], tx)
    indices = functools.partial(
        data.order.batch_index, num_examples=n, batch_size=batch_size, seed=0
    )
    epoch = train.make_train_epoch(
        make_loss_fn(model, elbo), tx, order=indices, num_steps=num_steps
    )
    state, _ = epoch(state, source)
    terms = make_evaluator(model, batch_size=n, num_samples=32)(
        state.params, source, jax.random.key(1)
    )
    return state.params["params"], terms


def check(x, latent_dim, params, terms, variance=None):
    optimum, axes, optimal_variance = ppca(x.astype(np.float64), latent_dim, variance)
    bound = terms.elbo.mean(dtype=np.float64)
    stderr = terms.elbo.std(dtype=np.float64) / np.sqrt(32 * len(x))
    assert bound == pytest.approx(optimum, rel=1e-3)
    assert bound < optimum + 4 * stderr  # a bound stays below
    active = terms.kl.mean(0) > 0.02
    assert active.sum() == axes.shape[1]
    decoder = np.asarray(params["likelihood"]["EventLayer_0"]["out"]["kernel"])  # [D, d]
    assert scipy.linalg.subspace_angles(decoder[active].T, axes).max() < 1e-2
    if variance is None:
        learned = np.exp(float(params["likelihood"]["logvar"]))
        assert learned == pytest.approx(optimal_variance, rel=0.01)


def synthetic():
    """2,000 points in 12 dimensions; five variances of 9, 6, 4, 2.5, 1.5 above a noise of 1."""
    rng = np.random.default_rng(0)
    basis = np.linalg.qr(rng.normal(size=(12, 12)))[0]
    scales = np.sqrt([10, 7, 5, 3.5, 2.5] + [1.0] * 7)
    return (rng.normal(size=(2000, 12)) * scales @ basis + rng.normal(size=12)).astype(np.float32)


def test_linear_vae_reaches_the_ppca_optimum():
    x = synthetic()
    params, terms = fit(
        x, 5, likelihoods.LearnedGaussian((12,)), num_steps=10_000, learning_rate=1e-2
    )
    check(x, 5, params, terms)


@pytest.mark.slow
def test_dimensions_below_the_noise_collapse():
    # sigma^2 = 4.2 lies between the third and the fourth eigenvalue: of eight latents three stay.
    x = synthetic()
    params, terms = fit(
        x, 8, likelihoods.Gaussian((12,), np.sqrt(4.2)), num_steps=10_000, learning_rate=1e-2
    )
    check(x, 8, params, terms, variance=4.2)


@pytest.mark.slow
def test_linear_vae_on_frey_faces(real_data):
    with np.load(real_data / "raw" / "frey_faces" / "frey_faces.npz") as file:
        x = file["images"].reshape(1965, 560).astype(np.float32) / 255
    params, terms = fit(
        x, 4, likelihoods.LearnedGaussian((560,)), num_steps=20_000, learning_rate=1e-2
    )
    check(x, 4, params, terms)
