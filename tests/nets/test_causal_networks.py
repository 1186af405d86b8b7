"""Causal networks: step by step as in parallel, blind to later tokens, and padding excluded."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vae_jax.nets import CausalGRU, CausalTransformer

jit = functools.partial(
    jax.jit, compiler_options={"xla_backend_optimization_level": 1}
)  # a quarter of the time to compile
V, L, N, C = 6, 7, 3, 4
NETWORKS = {
    "gru": CausalGRU(V, features=5, embedding=3),
    "gru of two layers": CausalGRU(V, features=5, layers=2, embedding=3),
    "transformer": CausalTransformer(V, features=8, layers=2, heads=2),
}

TOKENS = np.random.default_rng(0).integers(0, V, (N, L)).astype(np.int32)  # 0: a dropped token
CONTEXT = np.random.default_rng(1).normal(size=(N, C)).astype(np.float32)


@functools.cache
def parameters(name):
    """Random parameters, biases too."""
    shapes = jax.eval_shape(lambda key: NETWORKS[name].init_params(key, C), jax.random.key(0))
    rng = np.random.default_rng(0)
    return jax.tree.map(lambda a: np.float32(0.6 * rng.normal(size=a.shape)), shapes)


@functools.partial(jit, static_argnums=0)
def parallel(network, params, tokens, context, mask=None):
    return network.apply({"params": params}, tokens, context, mask)


@functools.partial(jit, static_argnums=0)
def stepwise(network, params, tokens, context):
    """Logits [N, L, V] under a scan, as in sampling."""
    variables = {"params": params}

    def body(carry, token):
        return network.apply(variables, carry, token, method="step")

    carry = network.apply(variables, context, tokens.shape[1], method="start")
    before = jnp.concatenate([jnp.full((len(tokens), 1), V), tokens[:, :-1]], axis=1)
    return jax.lax.scan(body, carry, before.T)[1].swapaxes(0, 1)


each = pytest.mark.parametrize("name", NETWORKS)


@each
def test_step_by_step_equals_the_parallel_pass(name):
    logits = parallel(NETWORKS[name], parameters(name), TOKENS, CONTEXT)
    assert logits.shape == (N, L, V)
    actual = stepwise(NETWORKS[name], parameters(name), TOKENS, CONTEXT)
    np.testing.assert_allclose(actual, logits, rtol=2e-5, atol=2e-5)


@each
def test_logits_depend_on_all_tokens_before_and_on_no_other(name):
    logits = parallel(NETWORKS[name], parameters(name), TOKENS, CONTEXT)
    for t in range(L):
        changed = TOKENS.copy()
        changed[:, t] = (TOKENS[:, t] + 1) % V
        same = np.asarray(parallel(NETWORKS[name], parameters(name), changed, CONTEXT) == logits)
        assert same[:, : t + 1].all()
        assert not same[..., 1:].all(axis=-1)[:, t + 1 :].any()


@each
def test_logits_at_each_step_depend_on_the_context_of_their_own_sequence(name):
    logits = parallel(NETWORKS[name], parameters(name), TOKENS, CONTEXT)
    changed = CONTEXT + np.float32(1) * (np.arange(N) == 1)[:, None]
    same = np.asarray(parallel(NETWORKS[name], parameters(name), TOKENS, changed) == logits)
    assert same[[0, 2]].all()
    assert not same[1, :, 1:].all(axis=-1).any()


@pytest.mark.parametrize("name", ["gru of two layers", "transformer"])
def test_each_array_of_the_carry_has_the_batch_first(name):
    """So that beam search can reorder the sequences."""
    network = NETWORKS[name]
    variables = {"params": parameters(name)}
    step = jit(functools.partial(network.apply, method="step"))
    carry = network.apply(variables, CONTEXT, L, method="start")
    carry, _ = step(variables, carry, np.full(N, V))
    order = np.array([2, 0, 0])
    expected = step(variables, carry, TOKENS[:, 0])[1][order]
    carry = jax.tree.map(lambda a: a[order], carry)
    actual = step(variables, carry, TOKENS[order, 0])[1]
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-5)


@each
def test_padding_has_probability_zero_and_gradients_are_finite(name):
    network = NETWORKS[name]

    def loss(params, context):
        log_p = jax.nn.log_softmax(network.apply({"params": params}, TOKENS, context))
        return -jnp.take_along_axis(log_p, jnp.maximum(TOKENS, 1)[..., None], -1).sum(), log_p

    grads, log_p = jit(jax.grad(loss, (0, 1), has_aux=True))(parameters(name), CONTEXT)
    np.testing.assert_array_equal(np.exp(log_p[..., 0]), 0)
    assert np.isfinite(log_p).all()
    leaves = jax.tree.leaves(grads)
    assert all(np.isfinite(leaf).all() and np.any(leaf) for leaf in leaves)


@pytest.mark.parametrize("name", ["gru of two layers", "transformer"])
def test_needed_logits_do_not_depend_on_the_mask(name):
    """Lengths 3, 7 and 0; the gradients of needed terms are the same, too."""
    network = NETWORKS[name]
    mask = np.arange(L) < np.array([3, 7, 0])[:, None]

    def loss(params, context, given):
        logits = network.apply({"params": params}, TOKENS, context, given)
        return jnp.sum(jnp.where(mask[..., None], jnp.sin(logits), 0))

    value = jit(jax.value_and_grad(loss, (0, 1)))
    actual, expected = (value(parameters(name), CONTEXT, given) for given in (mask, None))
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), actual, expected
    )


@pytest.mark.parametrize("name", ["gru of two layers", "transformer"])
def test_bfloat16_keeps_parameters_and_logits_in_float32(name):
    network = NETWORKS[name].clone(dtype=jnp.bfloat16)
    params = jax.eval_shape(lambda key: network.init_params(key, C), jax.random.key(0))
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(params))
    expected = parallel(NETWORKS[name], parameters(name), TOKENS, CONTEXT)
    for function in (parallel, stepwise):
        logits = function(network, parameters(name), TOKENS, CONTEXT)
        assert logits.dtype == jnp.float32
        np.testing.assert_allclose(logits, expected, rtol=0.05, atol=0.15)
