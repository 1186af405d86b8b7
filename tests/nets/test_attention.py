"""Attention and rotary positions against numpy."""

import jax.numpy as jnp
import numpy as np
import pytest

from vae_jax.errors import InputError
from vae_jax.nets import CausalTransformer
from vae_jax.nets.attention import attend, rotate


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def test_attention_is_that_of_a_loop_in_numpy():
    queries, keys, values = normal(2, 3, 2, 4), normal(2, 5, 2, 4, seed=1), normal(2, 5, 2, 4)
    mask = np.random.default_rng(2).random((2, 3, 5)) < 0.6
    mask[:, :, 0] = True
    actual = attend(*map(jnp.asarray, (queries, keys, values, mask)))
    for n, i, head in np.ndindex(2, 3, 2):
        logits = [queries[n, i, head] @ keys[n, j, head] / 4**0.5 for j in range(5)]
        weights = np.exp(logits) * mask[n, i]
        expected = weights @ values[n, :, head] / weights.sum()
        np.testing.assert_allclose(actual[n, i, head], expected, rtol=1e-5, atol=1e-6)


def test_rotations_are_those_of_complex_numbers():
    x, positions = normal(2, 3, 1, 6), np.array([[0, 1, 7], [2, 2, 100]])
    actual = np.asarray(rotate(x, jnp.asarray(positions)))
    numbers = x[..., :3] + 1j * x[..., 3:]
    rates = 10_000.0 ** -(np.arange(3) / 3)
    expected = numbers * np.exp(1j * positions[:, :, None, None] * rates)
    np.testing.assert_allclose(actual[..., :3] + 1j * actual[..., 3:], expected, atol=2e-5)


def test_products_depend_on_the_difference_of_positions_only():
    a, b = normal(1, 1, 1, 8), normal(1, 1, 1, 8, seed=1)

    def product(i, j):
        return jnp.sum(rotate(a, jnp.array([[i]])) * rotate(b, jnp.array([[j]])))

    np.testing.assert_allclose(product(9, 4), product(5, 0), rtol=1e-4)
    assert abs(product(9, 4) - product(9, 5)) > 0.01


@pytest.mark.parametrize(("features", "heads"), [(6, 2), (8, 3), (0, 1), (9, 1)])
def test_features_that_do_not_split_into_pairs_by_head_are_refused(features, heads):
    network = CausalTransformer(5, features, heads=heads)
    with pytest.raises(InputError, match=f"features = {features}: must be a multiple of 2"):
        network.apply({"params": {}}, jnp.zeros((1, 3), jnp.int32), jnp.zeros((1, 2)))
