"""Gated recurrent units against a loop in numpy."""

import numpy as np
import pytest

from vae_jax.nets.gru import gru_sequence


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def loop(kernel, bias, inputs, h, mask, order):
    """The formulas of the module, gate by gate, in float64."""
    size = h.shape[1]
    w_r, w_u, w_c = (np.float64(kernel[:, i * size : (i + 1) * size]) for i in range(3))
    steps = np.zeros((*inputs.shape[:2], size))
    for t in order:
        i_r, i_u, i_c = (np.float64(inputs[t][:, i * size : (i + 1) * size]) for i in range(3))
        r, u = sigmoid(i_r + h @ w_r), sigmoid(i_u + h @ w_u)
        candidate = np.tanh(i_c + r * (h @ w_c + bias))
        h = np.where(mask[t][:, None], (1 - u) * candidate + u * h, h)
        steps[t] = h
    return h, steps


@pytest.mark.parametrize("reverse", [False, True])
def test_the_states_are_those_of_a_loop_in_numpy(reverse):
    args = normal(3, 9), normal(3, seed=1), normal(6, 4, 9, seed=2), normal(4, 3, seed=3)
    mask = np.random.default_rng(4).random((6, 4)) < 0.6
    order = range(6)[::-1] if reverse else range(6)
    final, steps = gru_sequence(*args, mask, reverse=reverse)
    expected_final, expected = loop(*args, mask, order)
    np.testing.assert_allclose(steps, expected, atol=2e-6)
    np.testing.assert_allclose(final, expected_final, atol=2e-6)
