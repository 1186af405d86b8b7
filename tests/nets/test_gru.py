"""Gated recurrent units against a loop in numpy."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vae_jax.nets.gru import GRUParams, chunk_size, gru_sequence, gru_step

jit = functools.partial(
    jax.jit, compiler_options={"xla_backend_optimization_level": 1}
)  # a quarter of the time to compile


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


def example(num_steps=6, *, indices=False):
    """Parameters, source, state and mask; N = 4, F = 3, G = 5, and a step that nothing reaches."""
    params = GRUParams(normal(3, 9), normal(3, seed=1), normal(5, 9, seed=2), normal(4, 9, seed=3))
    rng = np.random.default_rng(4)
    source = rng.integers(0, 5, (num_steps, 4)) if indices else normal(num_steps, 4, 5, seed=5)
    mask = rng.random((num_steps, 4)) < 0.6
    return params, source, normal(4, 3, seed=6), mask


def inputs_of(params, source):
    rows = np.eye(5)[source] if source.ndim == 2 else source
    return rows @ params.matrix + params.shift


both = pytest.mark.parametrize("reverse", [False, True])


@both
@pytest.mark.parametrize("indices", [False, True])
@pytest.mark.parametrize("num_steps", [6, 13])  # 13: chunks of 7, one of them padded
def test_the_states_are_those_of_a_loop_in_numpy(reverse, indices, num_steps):
    params, source, h, mask = example(num_steps, indices=indices)
    order = range(num_steps)[::-1] if reverse else range(num_steps)
    final, steps = gru_sequence(params, source, h, mask, reverse=reverse)
    inputs = inputs_of(params, source)
    expected_final, expected = loop(params.kernel, params.bias, inputs, h, mask, order)
    np.testing.assert_allclose(steps, expected, atol=2e-6)
    np.testing.assert_allclose(final, expected_final, atol=2e-6)


def plain_sequence(params, source, h, mask, reverse):
    """The same by autodiff of a scan of steps."""

    def body(h, step):
        source, mask = step
        h = jnp.where(mask[:, None], gru_step(params, source, h), h)
        return h, h

    return jax.lax.scan(body, h, (source, mask), reverse=reverse)


@both
@pytest.mark.parametrize("indices", [False, True])
def test_gradients_are_those_of_a_plain_scan(reverse, indices, monkeypatch):
    """With chunks that no sequence reaches, in the middle and at the end."""
    params, source, h, mask = example(29, indices=indices)
    assert chunk_size(29) == 6
    mask[12:18], mask[24:] = False, False
    weights = normal(4, 3, seed=7), normal(29, 4, 3, seed=8)

    def loss(function):
        def value(params, source, h):
            results = function(params, source, h, mask, reverse=reverse)
            return sum(jnp.sum(w * jnp.sin(r)) for w, r in zip(weights, results, strict=True))

        return jit(jax.grad(value, (0, 2) if indices else (0, 1, 2)))(params, source, h)

    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=2e-5),
        loss(gru_sequence),
        loss(plain_sequence),
    )
