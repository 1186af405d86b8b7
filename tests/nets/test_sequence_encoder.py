"""Encoders of sequences: blind to padding, not to order, end or condition."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vae_jax.nets import SequenceEncoder

jit = functools.partial(
    jax.jit, compiler_options={"xla_backend_optimization_level": 1}
)  # a quarter of the time to compile
V = 6
ENCODERS = {
    "gru": SequenceEncoder(V, features=5, embedding=3),
    "gru of two layers": SequenceEncoder(V, features=5, layers=2, embedding=3),
    "gru in one direction": SequenceEncoder(V, features=5, embedding=3, bidirectional=False),
    "transformer": SequenceEncoder(V, features=8, layers=2, kind="transformer", heads=2),
}
FEATURES = {"gru": 10, "gru of two layers": 10, "gru in one direction": 5, "transformer": 8}
X = np.float32([[3, 2, 4, 5, 1, 0], [2, 1, 0, 0, 0, 0], [5, 4, 3, 2, 3, 1], [0, 0, 0, 0, 0, 0]])
C = np.random.default_rng(0).normal(size=(4, 2)).astype(np.float32)
each = pytest.mark.parametrize("name", ENCODERS)


@functools.cache
def variables(name, conditional=False):
    """Random parameters, biases too."""
    args = (X, C) if conditional else (X,)
    shapes = jax.eval_shape(ENCODERS[name].init, jax.random.key(0), *args)
    rng = np.random.default_rng(0)
    return jax.tree.map(lambda a: np.float32(0.6 * rng.normal(size=a.shape)), shapes)


apply = jit(lambda encoder, v, x, *c: encoder.apply(v, x, *c), static_argnums=0)


def encode(name, x, *c):
    return apply(ENCODERS[name], variables(name, bool(c)), x, *c)


@each
def test_features_do_not_depend_on_padding(name):
    h = encode(name, X)
    assert h.shape == (4, FEATURES[name])
    longer = encode(name, np.pad(X, ((0, 0), (0, 11))))
    np.testing.assert_allclose(longer, h, rtol=1e-6, atol=1e-6)
    shorter = encode(name, X[1:2, :2])
    np.testing.assert_allclose(shorter, h[1:2], rtol=1e-6, atol=1e-6)


@each
def test_garbage_in_the_padding_never_enters(name):
    garbage = np.where(X == 0, np.float32([np.nan, -3, -np.inf, 0, -0.5, np.nan]), X)
    np.testing.assert_array_equal(encode(name, garbage), encode(name, X))
    grads = jit(jax.grad(lambda v: ENCODERS[name].apply(v, garbage).sum()))(variables(name))
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(grads))


@each
def test_features_depend_on_each_token_and_on_their_order(name):
    h = encode(name, X)
    for t in range(6):
        changed = X.copy()
        changed[2, t] = 1 + X[2, t] % (V - 1)
        assert np.abs(encode(name, changed) - h)[2].max() > 1e-4
    swapped = X[:, [1, 0, 2, 3, 4, 5]]
    assert np.abs(encode(name, swapped) - h)[2].max() > 1e-4
    assert np.array_equal(encode(name, swapped)[3], h[3])


@pytest.mark.parametrize("name", ["gru of two layers", "transformer"])
def test_the_condition_enters_its_own_row_only(name):
    h = encode(name, X, C)
    changed = encode(name, X, C + np.float32([[1], [0], [0], [0]]))
    assert not np.isclose(changed[0], h[0]).all()
    np.testing.assert_array_equal(changed[1:], h[1:])


@pytest.mark.parametrize("name", ["gru", "transformer"])
def test_bfloat16_keeps_parameters_in_float32(name):
    encoder = ENCODERS[name].clone(dtype=jnp.bfloat16)
    params = jax.eval_shape(encoder.init, jax.random.key(0), X)
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(params))
    h = apply(encoder, variables(name), X)
    assert h.dtype == jnp.bfloat16
    np.testing.assert_allclose(h.astype(jnp.float32), encode(name, X), rtol=0.05, atol=0.05)
