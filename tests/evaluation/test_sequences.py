"""Reconstruction of sequences against the parts of the model and its probabilities."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from tiny_tokens import Memory, random_sequences

from vae_jax import VAE, data, likelihoods, nets, posteriors, priors
from vae_jax.distributions.beam_search import beam_search
from vae_jax.evaluation import sequences
from vae_jax.evaluation.common import bits_per_token, ratio_estimate
from vae_jax.evaluation.sequences import Reconstructions, make_reconstructions

V, L, N = 5, 4, 23
RNG = np.random.default_rng(0)
KEY = jax.random.key(3)


@pytest.fixture(scope="module")
def case():
    """A model whose distributions are far from uniform, its examples and reconstructions."""
    x = random_sequences(RNG, N, V, L)
    model = VAE(
        encoder=nets.MLP((16,)),
        decoder=nets.MLP(()),
        posterior=posteriors.DiagGaussianHead(3),
        prior=priors.StandardNormal(3),
        likelihood=likelihoods.Tokens((L,), Memory(V)),
    )
    params = jax.jit(model.init)(jax.random.key(1), x[:2], jax.random.key(2))
    source = data.ArraySource(x, observed=x > 0)
    run = make_reconstructions(model, batch_size=10, num_draws=40, num_decodes=25, num_beams=2)
    return model, params, x, Reconstructions(**run(params, source, KEY))


def test_each_protocol_is_what_it_says(case):
    model, params, x, result = case
    np.testing.assert_array_equal(result.x, x)
    z = model.apply(params, x, observed=x > 0, method="encode").center
    p = model.apply(params, z, method="decode")
    np.testing.assert_array_equal(result.greedy, p.center)
    np.testing.assert_array_equal(result.beam, beam_search(p, 2).values[:, 0])
    assert (result.one_draw != result.greedy).any()  # another z
    # Every token in turn at one place, given the true ones before: the likeliest is a hit.
    others = np.broadcast_to(x, (L, V - 1, N, L)).astype(int)
    for place in range(L):
        others[place, :, :, place] = np.arange(1, V)[:, None]
    terms = np.asarray(jax.jit(lambda ids: p._token_terms(ids, ids, ids > 0))(others))
    best = 1 + np.stack([terms[place, ..., place].argmax(0) for place in range(L)], axis=1)
    hits = ((best == x) & (x > 0)).sum(1)
    np.testing.assert_array_equal(result.hits, hits)
    np.testing.assert_array_equal(result.num_tokens, (x > 0).sum(1))
    estimates = result.estimates()
    exact = (result.greedy == x).all(1)
    assert estimates["exact_greedy"].value == pytest.approx(exact.mean())
    assert estimates["token_accuracy"].value == pytest.approx(hits.sum() / (x > 0).sum())


def test_sampled_reconstructions_match_with_their_probability(case):
    model, params, x, result = case

    @jax.jit
    def probabilities(key):
        z = model.apply(params, x, observed=x > 0, method="encode").sample(key, (3000,))
        return jnp.exp(model.apply(params, z, method="decode").log_prob(x))

    p = np.asarray(probabilities(jax.random.key(5)))
    expected = p.mean(0)
    # 40 draws of z, and 25 of x for each: the variance between and within.
    error = np.sqrt(p.var(0) / 40 + (p * (1 - p)).mean(0) / 1000)
    assert (np.abs(result.sampled - expected) < 4 * error + 1e-6).all()
    assert expected.max() > 0.1


def test_lengths_count_the_end_and_are_compared():
    x = np.array([[2, 3, 1, 0], [1, 0, 0, 0], [2, 2, 2, 2]], np.float32)
    np.testing.assert_array_equal(sequences.lengths(x), [3, 1, 4])
    np.testing.assert_array_equal(sequences.has_end(x), [True, True, False])
    a, b = RNG.integers(1, 9, 40), RNG.integers(3, 20, 70)
    expected = scipy.stats.wasserstein_distance(a, b)
    assert sequences.length_distance(a, b) == pytest.approx(expected)


def test_bits_per_token_are_a_ratio_of_totals():
    log_px, tokens = np.array([-3.0, -10.0, -2.0]), np.array([2, 5, 3])
    estimate = bits_per_token(log_px, tokens)
    ratio = 15 / 10 / np.log(2)
    assert estimate.value == pytest.approx(ratio)
    residuals = (-log_px / np.log(2) - ratio * tokens) / tokens.mean()
    assert estimate.stderr == pytest.approx(residuals.std(ddof=1) / np.sqrt(3))
    assert np.isnan(ratio_estimate(log_px[:1], tokens[:1]).stderr)
    assert np.isnan(ratio_estimate(log_px, np.zeros(3, int)).value)
