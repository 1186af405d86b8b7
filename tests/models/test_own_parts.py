"""Models with parts that know nothing of this library but its distributions."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from vae_jax import VAE, distributions, likelihoods, nets, posteriors, priors
from vae_jax.errors import InputError
from vae_jax.models import VQVAE, Hierarchical, vector_levels
from vae_jax.posteriors.quantizers import VectorQuantizer

KEY = jax.random.key(0)
B, K, D = 4, 3, 2
EVENT = (4, 4, 1)
X = np.random.default_rng(0).uniform(size=(B, *EVENT)).astype(np.float32)


class Encoder(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.relu(nn.Dense(5)(x.reshape(len(x), -1)))


class Posterior(nn.Module):
    dim: int = D

    @nn.compact
    def __call__(self, h):
        return distributions.DiagGaussian(nn.Dense(self.dim)(h), nn.Dense(self.dim)(h))


class Prior(nn.Module):
    dim: int = D

    def __call__(self):
        return distributions.DiagGaussian(jnp.zeros(self.dim), jnp.zeros(self.dim))


class NoDistribution(nn.Module):
    @nn.compact
    def __call__(self, h):
        return nn.Dense(D)(h)


class Likelihood(nn.Module):
    event_ndims: int = 3

    @nn.compact
    def __call__(self, h):
        mean = nn.Dense(16)(h).reshape(-1, *EVENT)
        return distributions.DiagGaussian(mean, jnp.zeros(()), event_ndims=self.event_ndims)


OWN = VAE(Encoder(), Encoder(), Posterior(), Prior(), Likelihood())


def test_the_terms_are_those_of_the_library_s_parts():
    params = OWN.init(KEY, X, KEY)
    outputs = OWN.apply(params, X, KEY, num_samples=K)
    library = OWN.clone(
        prior=priors.StandardNormal(D), likelihood=likelihoods.Gaussian(EVENT, sigma=1.0)
    )
    tree = params["params"]
    likelihood = {"EventLayer_0": {"out": tree["likelihood"]["Dense_0"]}}
    same = library.apply({"params": tree | {"likelihood": likelihood}}, X, KEY, num_samples=K)
    assert outputs.log_px_z.shape == (K, B)
    for name in ("log_px_z", "log_pz", "log_qz_x", "kl", "z"):
        np.testing.assert_allclose(getattr(outputs, name), getattr(same, name), rtol=2e-5)
    assert jnp.unique(outputs.log_px_z).size == K * B  # a transposed layout would be noticed


@pytest.mark.parametrize("lead", [(), (B,), (K, B), (2, 1, 3)])
def test_any_number_of_leading_axes(lead):
    params = OWN.init(KEY, X, KEY)
    z = jax.random.normal(KEY, (*lead, D))
    p = OWN.apply(params, z, method="decode")
    rows = OWN.apply(params, z.reshape(-1, D), method="decode")
    assert p.batch_shape == lead
    np.testing.assert_allclose(p.mean.reshape(-1, *EVENT), rows.mean, rtol=1e-5)
    np.testing.assert_array_equal(p.center, p.mean)
    draws = p.sample(KEY, (7,))
    assert draws.shape == (7, *lead, *EVENT)
    expected = rows.log_prob(draws.reshape(7, -1, *EVENT)).reshape(7, *lead)
    np.testing.assert_allclose(p.log_prob(draws), expected, rtol=1e-5)
    terms = p.log_prob_terms(draws)
    assert terms.shape == draws.shape
    np.testing.assert_allclose(terms.sum((-3, -2, -1)), expected, rtol=1e-5)


def test_generate_and_a_ladder_and_codes_of_own_parts():
    def outputs_of(model):
        run = functools.partial(model.init_with_output, num_samples=K)
        return jax.eval_shape(run, KEY, X, KEY)[0]

    p = jax.eval_shape(
        functools.partial(OWN.init_with_output, num_samples=6, method="generate"), KEY, KEY
    )[0]
    assert p.mean.shape == (6, *EVENT)
    ladder = Hierarchical(vector_levels((1, 2), (4, 4)), Likelihood())
    assert outputs_of(ladder).log_px_z.shape == (K, B)
    codes = VQVAE(
        nets.MLP((4,)), VectorQuantizer(5, 2), Encoder(), Likelihood(), priors.UniformCodes((2,), 5)
    )
    assert outputs_of(codes).log_px_z.shape == (K, B)


def test_a_condition_reaches_the_parts_that_take_one():
    class Conditional(nn.Module):
        @nn.compact
        def __call__(self, x, c):
            return nn.Dense(5)(jnp.concatenate([x.reshape(len(x), -1), c], -1))

    model = OWN.clone(encoder=Conditional(), decoder=Conditional(), conditioning=nets.OneHot(3))
    y = jnp.arange(B) % 3
    run = functools.partial(model.init_with_output, num_samples=K)
    outputs, _ = jax.eval_shape(lambda y: run(KEY, X, KEY, y=y), y)
    assert outputs.log_px_z.shape == (K, B)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            OWN.clone(posterior=posteriors.DiagGaussianHead(4), prior=priors.StandardNormal(5)),
            r"posterior DiagGaussianHead has latents of shape \(4,\), the prior StandardNormal of "
            r"shape \(5,\)",
        ),
        (  # would broadcast
            OWN.clone(posterior=Posterior(1), prior=priors.StandardNormal(5)),
            r"posterior Posterior has latents of shape \(1,\)",
        ),
        (
            OWN.clone(
                decoder=nets.ConvDecoder((16, 16, 1), (4,), (4,)),
                likelihood=likelihoods.Bernoulli(EVENT),
            ),
            r"the decoder ConvDecoder and the likelihood Bernoulli don't fit: features of size "
            r"\(8, 8\): must be \(4, 4\)",
        ),
        (
            OWN.clone(likelihood=likelihoods.Bernoulli((5, 4, 1))),
            r"x has shape \(4, 4, 4, 1\): must be \[B, 5, 4, 1\], .* likelihood Bernoulli",
        ),
        (
            OWN.clone(likelihood=NoDistribution()),
            "the likelihood NoDistribution returns .*: must be a distribution",
        ),
        (
            OWN.clone(posterior=NoDistribution()),
            "the posterior NoDistribution returns .*: must be a distribution",
        ),
        (
            OWN.clone(likelihood=Likelihood(event_ndims=1)),
            r"likelihood Likelihood returns a distribution with batch axes \(4, 4, 4\) and event "
            r"axes \(1,\): must be \(4,\)",
        ),
    ],
)
def test_parts_that_do_not_fit_are_named(model, message):
    with pytest.raises(InputError, match=message):
        jax.eval_shape(model.init, KEY, X, KEY)
