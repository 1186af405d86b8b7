"""Beam search against all sequences of a small alphabet, under a network with memory."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny_tokens import Memory, all_sequences

from vae_jax import nets
from vae_jax.distributions import TokenSequence
from vae_jax.distributions.beam_search import beam_search
from vae_jax.errors import InputError

V, L, F = 5, 3, 2  # padding, end, and three tokens
RNG = np.random.default_rng(0)
BATCH = (2, 3)


def distribution():
    params = Memory(V).init_params(jax.random.key(0), F)
    context = jnp.asarray(RNG.normal(size=(*BATCH, F)), jnp.float32)
    return TokenSequence(context, params, Memory(V), L, V)


def test_enough_beams_find_every_sequence_in_order():
    p, rows = distribution(), all_sequences(V, L)
    beams, log_prob = jax.jit(
        lambda p: (beam_search(p, len(rows) + 4), p.log_prob(rows[:, None, None]))
    )(p)
    expected = np.asarray(log_prob).transpose(1, 2, 0)
    np.testing.assert_allclose(np.exp(expected).sum(-1), 1, rtol=1e-5)
    order = np.argsort(-expected, axis=-1)
    np.testing.assert_array_equal(beams.values[..., : len(rows), :], rows[order])
    found = np.asarray(beams.log_prob)
    np.testing.assert_allclose(
        found[..., : len(rows)], np.take_along_axis(expected, order, -1), rtol=1e-4, atol=1e-5
    )
    # There are no more sequences.
    assert (found[..., len(rows) :] == -np.inf).all()
    assert not np.asarray(beams.values)[..., len(rows) :, :].any()


@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_one_beam_is_greedy_and_more_are_likelier(temperature):
    @jax.jit
    def search(p):
        one, some = beam_search(p, 1), beam_search(p, 4)
        scores = jnp.moveaxis(p.log_prob(jnp.moveaxis(some.values, -2, 0)), 0, -1)
        return one, some, p.center, p.log_prob(p.center), scores

    one, some, greedy, log_prob, scores = search(distribution().with_temperature(temperature))
    np.testing.assert_array_equal(one.values[..., 0, :], greedy)
    np.testing.assert_allclose(one.log_prob[..., 0], log_prob, rtol=1e-4, atol=1e-5)
    assert (some.log_prob[..., 0] >= one.log_prob[..., 0] - 1e-5).all()
    np.testing.assert_allclose(some.log_prob, scores, rtol=1e-4, atol=1e-5)


def test_a_finished_beam_is_kept_when_a_longer_one_is_likelier_at_first():
    # "end" has 0.4 at once; token 2 has 0.6, and then each of three continuations a third.
    table = np.full((V + 1, V), -30.0, np.float32)
    table[V, [1, 2]] = np.log([0.4, 0.6])
    table[2, 2:] = np.log(1 / 3)
    params = {"table": jnp.asarray(table), "mix": jnp.zeros((F, V))}
    p = TokenSequence(jnp.zeros((F,)), params, Memory(V, discount=0.0), 2, V)
    greedy, best = beam_search(p, 1), beam_search(p, 2)
    np.testing.assert_array_equal(greedy.values[0], [2, 2])
    np.testing.assert_array_equal(best.values[0], [1, 0])
    np.testing.assert_allclose(np.exp(best.log_prob), [0.4, 0.2], rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    "network", [nets.CausalGRU(V, 6, 2, 4), nets.CausalTransformer(V, 8, 2, 2)], ids=["gru", "tf"]
)
def test_beams_have_the_log_probability_of_one_parallel_pass(network):
    """The states, or the caches, of all layers follow their beams."""
    params = jax.jit(lambda key: network.init_params(key, F))(jax.random.key(1))
    params = jax.tree.map(lambda leaf: 2 * leaf, params)
    context = jnp.asarray(RNG.normal(size=(3, F)), jnp.float32)

    @jax.jit
    def search(params):
        p = TokenSequence(context, params, network, 6, V)
        beams = beam_search(p, 4)
        return beams, jnp.moveaxis(p.log_prob(jnp.moveaxis(beams.values, 1, 0)), 0, 1)

    beams, scores = search(params)
    np.testing.assert_allclose(beams.log_prob, scores, rtol=1e-4, atol=1e-4)
    assert len(np.unique(beams.values.reshape(12, -1), axis=0)) > 4


def test_a_beam_is_needed():
    with pytest.raises(InputError, match="num_beams = 0"):
        beam_search(distribution(), 0)
