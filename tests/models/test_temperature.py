"""Samples at a temperature: every prior is narrowed by as much as it says."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vae_jax import VAE, likelihoods, nets, posteriors, priors

KEY, N, D = jax.random.key(2), 4_000, 2
PRIORS = {
    "standard_normal": priors.StandardNormal(D),
    "learned": priors.LearnedDiagonal(D),
    "mixture": priors.Mixture(D, 3),
    "coupling": priors.CouplingPrior(D, 2, 4),
    "autoregressive": priors.AutoregressivePrior(D, 2, 4),
}


def model_with(prior, posterior=None):
    return VAE(
        nets.MLP((3,)),
        nets.MLP(()),
        posterior or posteriors.DiagGaussianHead(D),
        prior,
        likelihoods.Gaussian((3,), 0.5),
    )


def parameters(model):
    rng = np.random.default_rng(0)
    shapes = jax.eval_shape(model.init, KEY, jnp.zeros((2, 3)), KEY)
    return jax.tree.map(lambda leaf: jnp.float32(0.5 * rng.normal(size=leaf.shape)), shapes)


@pytest.mark.parametrize("name", PRIORS)
def test_generate_decodes_draws_of_the_prior_at_its_temperature(name) -> None:
    model = model_with(PRIORS[name])
    params = parameters(model)

    @jax.jit
    def at(temperature):
        z = model.apply(params, KEY, N, temperature=temperature, method="sample_prior")
        p = model.apply(params, KEY, N, temperature=temperature, method="generate")
        return z, p.mean, model.apply(params, z, method="decode").mean

    (z, made, decoded), (warm, *_) = at(0.3), at(1.0)
    np.testing.assert_allclose(made, decoded, rtol=1e-5, atol=1e-5)
    # The same noise, 0.3 times as large: exact for a Gaussian, smaller in any case.
    if name in ("standard_normal", "learned"):
        center = 0.0 if name == "standard_normal" else params["params"]["prior"]["mean"]
        np.testing.assert_allclose(z - center, 0.3 * (warm - center), rtol=1e-3, atol=1e-5)
    elif name != "mixture":  # of which the components stay apart
        ratio = np.std(z, 0) / np.std(warm, 0)
        assert np.all((ratio > 0.2) & (ratio < 0.45))
    assert np.all(np.std(z, 0) < 0.9 * np.std(warm, 0))


def test_without_a_temperature_it_is_one() -> None:
    model = model_with(PRIORS["learned"])
    params = parameters(model)
    plain, one = (
        model.apply(params, KEY, 50, temperature=t, method="generate").mean for t in (None, 1.0)
    )
    np.testing.assert_allclose(plain, one, rtol=1e-5)


def test_the_components_of_a_mixture_are_narrowed_in_place() -> None:
    model = model_with(PRIORS["mixture"])
    params = parameters(model)
    z = model.apply(params, KEY, N, temperature=1e-3, method="sample_prior")
    means = params["params"]["prior"]["means"]
    distance = jnp.linalg.norm(z[:, None] - means, axis=-1).min(1)
    assert distance.max() < 0.02
    assert len(np.unique(jnp.linalg.norm(z[:, None] - means, axis=-1).argmin(1))) == 3


def test_categories_at_a_low_temperature_are_the_likeliest() -> None:
    p = posteriors.GumbelSoftmaxHead(1, 3)
    h = jnp.eye(3)
    params = {"params": {"logits": {"kernel": jnp.eye(3), "bias": jnp.zeros(3)}}}
    q = p.apply(params, h).with_temperature(0.05)
    z = q.sample(KEY, (200,))
    np.testing.assert_array_equal(z, jnp.broadcast_to(jnp.eye(3), z.shape))
