"""Bits back: lossless, and as long as the bound says."""

import dataclasses
import math

import numpy as np
import pytest
from scipy import special

from vae_jax.errors import InputError
from vae_jax.evaluation.coding import bits_back_decode, bits_back_encode

D, SHAPE = 4, (6, 5, 1)
rng = np.random.default_rng(0)
DECODER, SHIFT = rng.normal(size=(D, 30)), rng.normal(size=30) - 0.5


def decode(z):
    """Bernoulli probabilities of a linear decoder."""
    return special.expit(np.asarray(z, np.float64) @ DECODER + SHIFT).reshape(-1, *SHAPE)


def examples(n, seed=1):
    draws = np.random.default_rng(seed)
    return (draws.uniform(size=(n, *SHAPE)) < decode(draws.normal(size=(n, D)))).astype(np.uint8)


def regression(n=20_000):
    """Weights [31, D] and errors [D] of the linear-Gaussian encoder from x to its z."""
    z = np.random.default_rng(5).normal(size=(n, D))
    x = with_one(np.random.default_rng(6).uniform(size=(n, *SHAPE)) < decode(z))
    weights = np.linalg.lstsq(x, z)[0]
    return weights, np.std(z - x @ weights, axis=0)


def with_one(x):
    return np.concatenate([x.reshape(len(x), -1), np.ones((len(x), 1))], axis=1)


ENCODER, STDDEV = regression()


def posterior(x):
    """That of the regression, with one narrower and one wider dimension than it found."""
    mean = with_one(np.minimum(x, 1)) @ ENCODER
    return mean, np.broadcast_to(STDDEV * [0.3, 1, 1, 1.2], mean.shape)


def categorical(z, values=7):
    """Probabilities of seven values, Gaussian weights around six times the Bernoulli one."""
    center = (values - 1) * decode(z)[..., None]
    weights = np.exp(-0.2 * (np.arange(values) - center) ** 2)
    return weights / weights.sum(-1, keepdims=True)


def seven_valued(n, seed=1):
    draws = np.random.default_rng(seed)
    p = categorical(draws.normal(size=(n, D))).cumsum(-1)
    return (draws.uniform(size=(n, *SHAPE, 1)) > p[..., :-1]).sum(-1)


def log_likelihood(x, p):
    """[N] log p(x | z)."""
    if p.shape == x.shape:
        return np.where(x == 1, np.log(p), np.log1p(-p)).reshape(len(x), -1).sum(1)
    return np.log(np.take_along_axis(p, x[..., None].astype(int), -1)).reshape(len(x), -1).sum(1)


def bound(x, decode, num_samples=200):
    """The ELBO in bits per dimension, without the coder: exact KL, Monte Carlo likelihood."""
    mean, stddev = posterior(x)
    kl = 0.5 * (mean**2 + stddev**2 - 1 - 2 * np.log(stddev)).sum(1)
    draws = np.random.default_rng(9)
    terms = [
        log_likelihood(x, decode(mean + stddev * draws.normal(size=mean.shape)))
        for _ in range(num_samples)
    ]
    return (kl - np.mean(terms, axis=0)).mean() / math.prod(SHAPE) / math.log(2)


@pytest.mark.parametrize(("decode", "examples"), [(decode, examples), (categorical, seven_valued)])
def test_the_rate_is_that_of_the_bound_within_a_percent(decode, examples):
    x = examples(1000)
    compressed = bits_back_encode(x, posterior, decode, batch_size=50)
    np.testing.assert_array_equal(bits_back_decode(compressed, posterior, decode), x)
    assert compressed.bits_per_dim == pytest.approx(bound(x, decode), rel=0.01)


@pytest.mark.parametrize(("n", "batch_size"), [(1, 1), (1, 8), (7, 3), (10, 10), (11, 1), (23, 10)])
def test_any_number_of_examples_comes_back(n, batch_size):
    x = examples(n)
    compressed = bits_back_encode(x, posterior, decode, batch_size=batch_size, seed=n)
    for _ in range(2):  # decoding leaves the message as it was
        np.testing.assert_array_equal(bits_back_decode(compressed, posterior, decode), x)


def test_examples_that_the_model_finds_impossible_come_back_too():
    x = examples(20)

    def certain(z):
        return (decode(z) > 0.5).astype(float)

    def narrow(x):
        mean, stddev = posterior(x)
        return 50 * mean, 1e-5 * stddev

    compressed = bits_back_encode(x, narrow, certain, batch_size=5)
    np.testing.assert_array_equal(bits_back_decode(compressed, narrow, certain), x)


def test_the_random_bits_are_counted():
    x = examples(100)
    compressed = bits_back_encode(x, posterior, decode, batch_size=10)
    assert compressed.num_clean_bits >= 64 * 10
    assert compressed.total_bits_per_dim * x.size == 8 * len(compressed.message.to_bytes())
    assert compressed.total_bits_per_dim * x.size == pytest.approx(
        compressed.bits_per_dim * x.size + compressed.num_clean_bits, abs=33 * 10
    )
    # A posterior equal to the prior gives 12 bits a latent and takes them back: p(x | z) remains.
    prior = bits_back_encode(
        x, lambda x: (np.zeros((len(x), 40)), np.ones((len(x), 40))), lambda z: decode(z[:, :D])
    )
    assert prior.num_clean_bits > 40 * 12 * 100


@pytest.mark.parametrize("latent_bits", [1, 8, 10, 16])
def test_bins_of_any_width_are_lossless_and_narrow_ones_cost_the_bound(latent_bits):
    x = examples(1000)
    compressed = bits_back_encode(x, posterior, decode, batch_size=100, latent_bits=latent_bits)
    np.testing.assert_array_equal(bits_back_decode(compressed, posterior, decode), x)
    if latent_bits > 1:
        assert compressed.bits_per_dim == pytest.approx(bound(x, decode), rel=0.01)


def test_other_functions_in_decoding_are_found_out():
    x = examples(60)
    compressed = bits_back_encode(x, posterior, decode, batch_size=20)
    with pytest.raises(InputError, match="must be the functions of the encoder"):
        bits_back_decode(compressed, posterior, lambda z: 1 - decode(z))
    with pytest.raises(InputError, match="must be the functions of the encoder"):
        bits_back_decode(dataclasses.replace(compressed, latent_bits=11), posterior, decode)


def test_bad_input():
    x = examples(4)
    with pytest.raises(InputError, match="x: of type float64; must contain integers from 0"):
        bits_back_encode(x + 0.5, posterior, decode)
    with pytest.raises(
        InputError, match="x: has a value of 2; decode gives probabilities for 0 to 1"
    ):
        bits_back_encode(2 * x, posterior, decode)
    with pytest.raises(
        InputError, match=r"decode: gives probabilities of shape \(4, 30\); must be \(4, 6, 5, 1\)"
    ):
        bits_back_encode(x, posterior, lambda z: decode(z).reshape(4, 30))
    with pytest.raises(InputError, match="a standard deviation that is not above 0"):
        bits_back_encode(x, lambda x: (posterior(x)[0], np.zeros((4, D))), decode)
    with pytest.raises(InputError, match=r"posterior: gives shapes \(4, 4\) and \(4,\)"):
        bits_back_encode(x, lambda x: (posterior(x)[0], np.zeros(4)), decode)
    with pytest.raises(InputError, match="must be at least 0 and sum to 1"):
        bits_back_encode(x, posterior, lambda z: decode(z) + 1)
    with pytest.raises(InputError, match="batch_size = 0: must be at least 1"):
        bits_back_encode(x, posterior, decode, batch_size=0)
