"""Corruptions: rates and moments within four standard errors, and functions of their key alone."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vae_jax.corruptions import gaussian_noise, masking, salt_and_pepper

jit = functools.partial(
    jax.jit, compiler_options={"xla_backend_optimization_level": 1}
)  # a quarter of the time to compile
SHAPE = (64, 20, 20, 1)
SIZE = 64 * 20 * 20
ALL = {"gaussian_noise": gaussian_noise, "masking": masking, "salt_and_pepper": salt_and_pepper}


def images():
    """Values strictly inside (0, 1), so that a corrupted entry can be told from a clean one."""
    return np.random.default_rng(0).uniform(0.2, 0.8, SHAPE).astype(np.float32)


def assert_rate(hits, rate):
    stderr = np.sqrt(rate * (1 - rate) / np.size(hits))
    assert abs(np.mean(hits) - rate) <= 4 * stderr


@pytest.mark.parametrize("stddev", [0.1, 1.0])
def test_gaussian_noise_has_the_moments_asked_for(stddev):
    x = images()
    noise = np.asarray(jit(gaussian_noise(stddev))(jax.random.key(1), x) - x, np.float64)
    assert abs(noise.mean()) <= 4 * stddev / np.sqrt(SIZE)
    assert abs(noise.var() - stddev**2) <= 4 * stddev**2 * np.sqrt(2 / SIZE)
    kurtosis = (noise**4).mean() / noise.var() ** 2
    assert abs(kurtosis - 3) <= 4 * np.sqrt(24 / SIZE)
    covariance = (noise[1:] * noise[:-1]).mean()  # examples have noise of their own
    assert abs(covariance) <= 4 * stddev**2 / np.sqrt(SIZE - SIZE // 64)


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.5, 1.0])
def test_masking_sets_to_zero_at_its_rate_and_leaves_the_rest(rate):
    x = images()
    y = jit(masking(rate))(jax.random.key(1), x)
    hit = np.asarray(y == 0)
    assert_rate(hit, rate)
    np.testing.assert_array_equal(y, np.where(hit, 0, x))


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.5, 1.0])
def test_salt_and_pepper_are_equally_likely_and_leave_the_rest(rate):
    x = images()
    y = np.asarray(jit(salt_and_pepper(rate))(jax.random.key(1), x))
    assert_rate(y == 0, rate / 2)
    assert_rate(y == 1, rate / 2)
    hit = (y == 0) | (y == 1)
    assert_rate(hit, rate)
    np.testing.assert_array_equal(y[~hit], np.asarray(x)[~hit])


@pytest.mark.parametrize("corruption", [masking, salt_and_pepper])
def test_examples_are_hit_independently(corruption):
    x = images()
    hit = np.asarray(jit(corruption(0.3))(jax.random.key(1), x) != x)
    assert_rate(hit[1:] & hit[:-1], 0.09)
    assert_rate(hit[:, 1:] & hit[:, :-1], 0.09)


@pytest.mark.parametrize("name", ALL)
def test_the_key_decides(name):
    compiled, x = jit(ALL[name](0.3)), images()
    first = compiled(jax.random.key(1), x)
    assert first.shape == x.shape
    assert first.dtype == x.dtype
    np.testing.assert_array_equal(first, compiled(jax.random.key(1), x))
    assert np.mean(first != compiled(jax.random.key(2), x)) > 0.2


@pytest.mark.parametrize("name", ALL)
def test_the_gradient_is_that_of_the_entries_left_alone(name):
    corrupt, x = ALL[name](0.3), images()[:2]
    gradient = jit(jax.grad(lambda x: jnp.sum(corrupt(jax.random.key(1), x))))(x)
    untouched = (
        np.ones_like(x)
        if name == "gaussian_noise"
        else np.asarray(jit(corrupt)(jax.random.key(1), x) == x)
    )
    np.testing.assert_array_equal(gradient, untouched)
