"""Size factors of counts: exact multiples of the mean, that no network sees."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from vae_jax import VAE, distributions, likelihoods, nets, posteriors, priors
from vae_jax.errors import InputError
from vae_jax.models import VQVAE, Hierarchical, Stacked, vector_levels
from vae_jax.nets.units import Units
from vae_jax.posteriors.quantizers import VectorQuantizer

KEY = jax.random.key(0)
X = jnp.float32(np.random.default_rng(0).poisson(4, (5, 3)))
GROUPS = np.array([0, 1, 0, 1, 1])
SIZES = np.float32([0.2, 1.0, 3.5, 40.0, 1e3])


def labels(sizes, groups=GROUPS):
    return jnp.float32(np.stack([np.broadcast_to(sizes, (5,)), groups], axis=1))


def parts(likelihood):
    return {"likelihood": likelihood, "conditioning": nets.SizeFactor(2)}


def vae(likelihood, **fields):
    encoder, decoder = nets.MLP((6,)), nets.MLP((6,))
    head, prior = posteriors.DiagGaussianHead(2), priors.StandardNormal(2)
    return VAE(encoder, decoder, head, prior, **parts(likelihood), **fields)


def codes(likelihood):
    quantizer, prior = VectorQuantizer(6, 2), priors.UniformCodes((2,), 6)
    networks = {"encoder": nets.MLP((6,)), "decoder": nets.MLP((6,))}
    return VQVAE(**networks, quantizer=quantizer, prior=prior, **parts(likelihood))


MODELS = {
    "vae": vae(likelihoods.NegativeBinomial((3,))),
    "vae with units": vae(
        likelihoods.NegativeBinomial((3,)), units=Units.fit(X, counts=True, real=False)
    ),
    "conditional prior": vae(likelihoods.ZeroInflatedNegativeBinomial((3,))).clone(
        prior=priors.Mixture(2, 3), condition_prior=True
    ),
    "ladder": Hierarchical(vector_levels((2, 2), (5, 5)), **parts(likelihoods.Poisson((3,)))),
    "stacked": Stacked(
        (2, 2),
        priors.Mixture(2, 3),
        hidden=(5,),
        condition_prior=True,
        **parts(likelihoods.Poisson((3,))),
    ),
    "codes": codes(likelihoods.Poisson((3,))),
}


@pytest.mark.parametrize("name", MODELS)
def test_a_size_multiplies_the_mean_and_changes_nothing_else(name):
    model = MODELS[name]
    params = model.init(KEY, X, KEY)
    one, some = labels(1.0), labels(SIZES)

    @jax.jit
    def run(y):
        q = model.apply(params, X, y=y, method="encode")
        z = model.apply(params, X, KEY, y=y, num_samples=2).z
        p = model.apply(params, z, y=y, method="decode")
        generated = model.apply(params, KEY, 5, y=y, method="generate")
        return q.center, z, p, generated.mean, model.apply(params, X, KEY, y=y, num_samples=2)

    (center, z, p, mean, _), (center_s, z_s, p_s, mean_s, outputs_s) = run(one), run(some)
    np.testing.assert_array_equal(center, center_s)
    np.testing.assert_array_equal(z, z_s)
    np.testing.assert_allclose(p_s.mean, p.mean * SIZES[:, None], rtol=1e-5)
    np.testing.assert_allclose(mean_s, mean * SIZES[:, None], rtol=1e-5)
    scaled = p.scale_counts(jnp.log(SIZES)[None] + jnp.zeros((2, 5)))
    np.testing.assert_allclose(p_s.log_prob(X), scaled.log_prob(X), rtol=1e-5)
    np.testing.assert_allclose(outputs_s.log_px_z, p_s.log_prob(X), rtol=1e-5)
    others = model.apply(params, X, y=labels(1.0, 1 - GROUPS), method="encode").center
    assert name == "codes" or not np.allclose(others, center)


def test_a_scaled_negative_binomial_is_that_of_the_scaled_mean():
    p = distributions.NegativeBinomial(jnp.log(jnp.float32([2.0, 7.0])), jnp.float32([0.3, 1.0]))
    scaled = p.scale_counts(jnp.float32(np.log(5)))
    r = np.exp(np.float64(p.log_inverse_dispersion))
    mean = np.array([10.0, 35.0])
    for k in (0.0, 3.0, 60.0):
        expected = stats.nbinom.logpmf(k, r, r / (r + mean))
        terms = scaled.log_prob_terms(jnp.full(2, k))
        np.testing.assert_allclose(terms, expected, rtol=1e-5)


def test_only_counts_of_a_table_have_a_size():
    columns = ("gaussian", "counts", "bernoulli", "poisson", "zero_inflated", "positive")
    head = likelihoods.Mixed((6,), columns)
    h = jnp.float32(np.random.default_rng(1).normal(size=(4, 3)))
    p, _ = head.init_with_output(KEY, h)
    scaled = p.scale_counts(jnp.full(4, jnp.log(3.0)))
    np.testing.assert_allclose(scaled.mean / p.mean, [[1, 3, 1, 3, 3, 1]] * 4, rtol=1e-5)


def test_other_likelihoods_with_rows_of_their_own():
    base = distributions.Poisson(jnp.zeros((6, 2)))
    p = distributions.BatchShaped(base, (2, 3)).scale_counts(jnp.arange(6.0).reshape(2, 3))
    expected = np.exp(np.arange(6.0)).reshape(2, 3, 1) * np.ones(2)
    np.testing.assert_allclose(p.mean, expected, rtol=1e-5)


def test_sizes_of_other_shapes_are_refused():
    model = MODELS["vae"]
    with pytest.raises(InputError, match=r"size and group, y \[\.\.\., 2\]"):
        model.init(KEY, X, KEY, y=jnp.ones(5))
