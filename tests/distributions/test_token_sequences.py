"""Distributions over sequences of tokens, against all sequences of a small alphabet."""

import itertools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vae_jax import distributions, nets

LENGTH, NUM_TOKENS = 3, 4  # two letters, the end and padding


@pytest.fixture(scope="module")
def network():
    net = nets.CausalGRU(NUM_TOKENS, features=5, embedding=3)
    params = net.init_params(jax.random.key(0), 2)
    return net, jax.tree.map(lambda leaf: 2 * leaf, params)


@pytest.fixture(scope="module")
def p(network):
    net, params = network
    context = jax.random.normal(jax.random.key(1), (2, 2))
    return distributions.TokenSequence(context, params, net, LENGTH, NUM_TOKENS)


def sequences():
    """All sequences [S, L] of the event space."""
    rows = []
    for row in itertools.product(range(NUM_TOKENS), repeat=LENGTH):
        length = row.index(1) + 1 if 1 in row else LENGTH
        if all(row[:length]) and not any(row[length:]):
            rows.append(row)
    return np.array(rows, np.float32)


def brute_force(p, row):
    """Log p of one sequence by steps of the network, with the first context."""
    carry, token = p.start(p.batch_shape)
    total = 0.0
    for t in range(LENGTH):
        carry, logits = p.step(carry, token)
        total += float(jax.nn.log_softmax(logits, axis=-1)[0, int(row[t])])
        token = jnp.full_like(token, int(row[t]))
        if row[t] == 1:
            break
    return total


def test_probabilities_of_all_sequences_sum_to_one(p):
    rows = sequences()
    assert len(rows) == 1 + 2 + 4 + 8
    log_p = p.log_prob(rows[:, None])
    chex.assert_shape(log_p, (len(rows), 2))
    np.testing.assert_allclose(np.exp(log_p).sum(0), 1, rtol=1e-5)
    np.testing.assert_allclose(log_p[:, 0], [brute_force(p, row) for row in rows], rtol=1e-5)


def test_no_other_values_have_mass(p):
    rows = [[2, 0, 1], [0, 0, 0], [1, 2, 0], [2, 4, 1], [2.5, 1, 0], [np.nan, 1, 0], [-1, 1, 0]]
    assert np.isneginf(p.log_prob(np.array(rows, np.float32)[:, None])).all()


def test_an_observed_prefix_is_a_marginal(p):
    rows = sequences()
    log_p = np.asarray(p.log_prob(rows[:, None]))[:, 0]
    for n in range(LENGTH + 1):
        for prefix in {tuple(row[:n]) for row in rows if 0 not in row[:n]}:
            matches = (rows[:, :n] == np.array(prefix)).all(1)
            value = np.array([*prefix, *[9] * (LENGTH - n)], np.float32)
            ours = p.observed_log_prob(value, jnp.arange(LENGTH) < n)
            expected = np.log(np.exp(log_p[matches]).sum())
            np.testing.assert_allclose(ours[0], expected, rtol=1e-4, atol=1e-6)
    assert np.isnan(p.observed_log_prob(rows[0], jnp.array([True, False, True]))).all()


def test_the_mask_of_the_length_changes_nothing(p):
    rows = sequences()[:, None]
    np.testing.assert_array_equal(p.observed_log_prob(rows, rows > 0), p.log_prob(rows))


def test_draws_have_the_frequencies_of_the_law(p):
    number = 20_000
    draws = np.asarray(p.sample(jax.random.key(2), (number,)))[:, 0]
    rows = sequences()
    counts = (draws[:, None] == rows).all(-1).sum(0)
    assert counts.sum() == number
    expected = np.exp(np.asarray(p.log_prob(rows[:, None]))[:, 0])
    stderr = np.sqrt(expected * (1 - expected) / number)
    assert (np.abs(counts / number - expected) < 4 * stderr + 1e-4).all()


def test_the_center_is_greedy(p):
    center = np.asarray(p.center)
    carry, token = p.start((2,))
    for t in range(LENGTH):
        carry, logits = p.step(carry, token)
        token = jnp.argmax(logits, axis=-1)
        alive = (center[:, :t] != 1).all(1)
        np.testing.assert_array_equal(center[alive, t], np.asarray(token)[alive])
    np.testing.assert_array_equal(p.typical(jax.random.key(0)), center)


def test_a_temperature_sharpens_each_factor(p):
    rows = sequences()[:, None]
    cold = p.with_temperature(0.5)
    np.testing.assert_allclose(np.exp(cold.log_prob(rows)).sum(0), 1, rtol=1e-5)
    np.testing.assert_array_equal(cold.center, p.center)
    one = np.array([1, 0, 0], np.float32)
    carry, token = p.start((2,))
    logits = p.step(carry, token)[1]
    expected = jax.nn.log_softmax(logits / 0.5)[:, 1]
    np.testing.assert_allclose(cold.log_prob(one), expected, rtol=1e-5)


def test_a_history_replaces_the_past(p):
    value = np.array([2, 3, 1], np.float32)
    same = p.given_history(value).log_prob_terms(value)
    np.testing.assert_array_equal(same, p.log_prob_terms(value))
    dropped = p.given_history(np.array([0, 0, 0], np.float32)).log_prob_terms(value)
    np.testing.assert_allclose(dropped[:, 0], same[:, 0], rtol=1e-6)  # the start is always seen
    assert (np.abs(dropped - same)[:, 1:] > 1e-4).all()
    with pytest.raises(distributions.base.UnsupportedError, match="no order"):
        distributions.DiagGaussian(jnp.zeros(3), jnp.zeros(3)).given_history(jnp.zeros(3))


def test_gradients_are_finite_at_padding(p, network):
    net, params = network

    def loss(params):
        p_x = distributions.TokenSequence(p.context, params, net, LENGTH, NUM_TOKENS)
        x = jnp.array([[2.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
        return p_x.observed_log_prob(x, x > 0).sum()

    gradients = jax.grad(loss)(params)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradients))
